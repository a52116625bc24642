#pragma once
// Reads numbers as people and models write them, exactly and with bounded work.

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace longshot::math {

struct Number {
  mpq_class value;       // exact; a percentage is already divided by 100
  bool decimal = false;  // some part was written with a decimal point or an exponent of ten
  bool percent = false;  // the whole is "x%"
  std::string unit;      // canonical name of a known unit, else the words as written; "" for none
};

// Reads plain_math text that is a number and nothing else: integers of up to 20,000 digits,
// decimals, thousands groups (1,234,567, 1 234 567, 1.234.567, 12,34,567), 1.5e3, a/b, \frac{a}{b},
// mixed numbers (1 1/2, 1\frac{1}{2}), percentages, number words ("seven"), and arithmetic of these
// with + - * / ^ ( ) \sqrt where the result is rational. Units, nouns and the endings of ordinals
// may follow ("5 cm", "12 apples", "5th"); "about" and currency codes may precede.
// Returns nullopt if the text is not a number, for a division by zero, for nesting deeper than 40
// levels, and for intermediate results over about 12,000 digits (9^9^9).
std::optional<Number> parse_number(std::string_view plain);

struct NumberRules {
  int digits = 6;            // places to which a decimal must agree
  bool bare_percent = true;  // 9% = 9
  bool ignore_units = false;
};

// Returns true if one of these rules holds. Symmetric.
// 1. They are equal as rationals.
// 2. One of them was written as a decimal and they differ by at most 10^-digits * min(1,
//    |smaller|), or by at most half a unit of the last place if both are at least 0.01 (a value
//    correctly rounded to `digits` places).
// 3. One is a percentage, the other is not, and they are equal as written, and whole (9% = 9,
//    Math-Verify's rule) or at least 1 (12.5% = 12.5).
// Values in two units are compared in one of them (90 min = 1.5 h); units that do not convert never
// agree. With ignore_units, units are not considered.
bool numbers_agree(const Number& a, const Number& b, const NumberRules& rules = {});

// Rule 2 for two values of which one was written as a decimal.
bool decimals_agree(double a, double b, int digits);

}  // namespace longshot::math

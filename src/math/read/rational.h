#pragma once
// Numbers as people and models write them, exactly, with bounded work.

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
// with + - * / ^ ( ) \sqrt where the result is rational. Units, nouns and the endings of ordinals may
// follow ("5 cm", "12 apples", "5th"); "about" and currency codes may precede. nullopt: not a
// number, division by zero, nested deeper than 40 levels, or larger than about 12,000 digits on the
// way (9^9^9).
std::optional<Number> parse_number(std::string_view plain);

struct NumberRules {
  int digits = 6;            // places to which a decimal must agree
  bool bare_percent = true;  // 9% = 9
  bool ignore_units = false;
};

// The agreement rule, symmetric.
//  1. equal as rationals; or
//  2. one of them was written as a decimal and they differ by at most 10^-digits * min(1, |smaller|), or by at most
//     half a unit of the last place when both are at least 0.01 (a value correctly rounded to so many places); or
//  3. one is a percentage, the other is not, and they are equal as written, and whole (9% = 9,
//     Math-Verify's rule) or at least 1 (12.5% = 12.5).
// Values in two units are compared in one of them (90 min = 1.5 h); units that do not convert never
// agree. Both unless units are ignored.
bool numbers_agree(const Number& a, const Number& b, const NumberRules& rules = {});

// Rule 2 for two values of which one was written as a decimal.
bool decimals_agree(double a, double b, int digits);

}  // namespace longshot::math

#pragma once
// Numbers as people and models write them, exactly, with bounded work.

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

struct Number {
  mpq_class value;       // exact; a percentage is already divided by 100
  bool decimal = false;  // some part was written with a decimal point or an exponent of ten
  bool percent = false;  // the whole is "x%"
  std::string unit;      // canonical name of a known unit, else the words as written; "" for none
};

// Reads plain_math text that is a number and nothing else: integers of up to 20,000 digits,
// decimals, 1,234,567, 1.5e3, a/b, \frac{a}{b}, mixed numbers (1 1/2, 1\frac{1}{2}), percentages,
// and arithmetic of these with
// + - * / ^ ( ) \sqrt where the result is rational. Units and nouns may follow ("5 cm", "12
// apples"). nullopt: not a number, division by zero, nested deeper than 40 levels, or larger than
// about 12,000 digits on the way (9^9^9).
std::optional<Number> parse_number(std::string_view plain);

// The agreement rule, symmetric.
//  1. equal as rationals; or
//  2. one of them was written as a decimal and they differ by at most 1e-6 * min(1, |smaller|), or
//  by at most
//     5e-7 when both are at least 0.01 (a value correctly rounded to six places); or
//  3. one is a percentage, the other is not, and both are whole as written: 9% = 9 (Math-Verify's
//  rule).
// Two known and different units never agree.
bool numbers_agree(const Number& a, const Number& b);

}  // namespace longshot::reward

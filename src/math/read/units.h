#pragma once
// Units and counted things after a number.

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace longshot::math {

// Reads the rest of a text after a number: nothing, a unit with its products, quotients and powers
// ("cm^2", "km/h", "kg*m s^{-2}", "J/(kg*K)", "\mu m", "miles per hour", "square feet"), nouns
// ("red apples"), the ending of an ordinal ("th"), or one of these in parentheses.
// Returns factors separated by spaces, known units by their canonical names with exponents ("km
// h^-1") and other words in lower case; "" for nothing; nullopt if the rest is something else: a
// variable, another number, or words that change the value ("million", "or 8", "squared").
// attached: there is no space between the number and the rest. A first unit must then have at least
// two letters, because 5m may be five times m.
std::optional<std::string> read_unit(std::string_view rest, bool attached);

// True if a result of read_unit begins with a unit of measurement and not with a counted thing.
bool is_known_unit(const std::string& unit);

// The factor that converts a value in unit `a` to unit `b`: 60 for h and min, 1 if one of them is
// missing or not a unit of measurement. nullopt for units that do not convert.
std::optional<mpq_class> unit_ratio(const std::string& a, const std::string& b);

// True if the word makes a statement about a number uncertain or changes its value ("or", "not",
// "million").
bool changes_meaning(std::string_view lower_word);

}  // namespace longshot::math

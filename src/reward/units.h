#pragma once
// Units and counted things after a number.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

// Reads the rest of a text after a number: nothing, a unit ("cm^2", "km/h") or nouns ("red
// apples"). Returns the canonical name of a known unit, the lower-case words otherwise, "" for
// nothing, and nullopt when the rest is something else: a variable, another number, or words that
// change the value ("million", "or 8", "squared"). attached: no space stands between the number and
// the rest; then only units of two letters or more are taken, as 5m may be five times m.
std::optional<std::string> read_unit(std::string_view rest, bool attached);

// Whether a result of read_unit begins with a unit of measurement and not with a counted thing.
bool is_known_unit(const std::string& unit);

// False only for two known, different units (5 m against 5 cm).
bool units_agree(const std::string& a, const std::string& b);

// Whether the word makes a statement about a number uncertain or changes its value ("or", "not",
// "million").
bool changes_meaning(std::string_view lower_word);

}  // namespace longshot::reward

#pragma once
// nlohmann::json without exceptions, without loss and without a stack that input can exhaust. Every
// text that becomes JSON and every JSON that becomes text passes through the functions below
// (tools/check_layout.py checks it):
// - An integer of any size keeps its value. An integer that does not fit in 64 bits, and a float
//   beyond double's range such as 1e400, becomes an "exact number": a value that is printed as its
//   original literal. nlohmann's is_number() is false for it; number_of() and same_number() support
//   it.
// - Other floats are doubles, read and printed as in Python's json: 72.0 remains 72.0.
// - The last of duplicate keys applies, as in Python. Invalid UTF-8, lone surrogates, NaN and
//   Infinity are errors when read; invalid UTF-8 is replaced by U+FFFD when written.
// - Nesting is limited, so that recursion over a value is safe.

#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/status.h"

namespace longshot {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// The deepest nesting of lists and objects that is read. The limit for input from outside is a
// little lower, so that the input can be read again after this program has wrapped it.
constexpr int kMaxJsonDepth = 512;
constexpr int kMaxInputJsonDepth = 500;

struct JsonRules {
  int max_depth = kMaxJsonDepth;
  bool unique_keys = false;  // duplicate keys of an object are an error
};

// `where` names the source in the error, e.g. "data/train.jsonl:12".
Result<Json> parse_json(std::string_view text, const std::string& where,
                        const JsonRules& rules = {});
// Like parse_json(), but keeps the members of objects in the order of the text.
Result<OrderedJson> parse_ordered_json(std::string_view text, const std::string& where,
                                       const JsonRules& rules = {});
Result<Json> read_json_file(const std::string& path);

// Invalid UTF-8 is replaced by U+FFFD (a model may emit any bytes). One line, or indented by
// `indent` spaces a level if it is not negative.
std::string dump_json(const Json& value, int indent = -1);
std::string dump_json(const OrderedJson& value, int indent = -1);

// The value of any number, exact ones included (infinite beyond double's range).
std::optional<double> number_of(const Json& value);
// True if both are numbers of the same value. Nothing is rounded: 2^53 + 1 does not equal 2^53 as a
// float.
bool same_number(const Json& a, const Json& b);
// The word for a value's type in messages.
std::string json_type(const Json& value);

namespace json_detail {

bool integer_fits(const Json& value, int64_t least, uint64_t most);

// False for integers that T cannot hold; nlohmann's own conversion would wrap them silently.
template <typename T>
struct Fits {
  static bool check(const Json& value) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      return integer_fits(value, static_cast<int64_t>(std::numeric_limits<T>::min()),
                          static_cast<uint64_t>(std::numeric_limits<T>::max()));
    }
    return true;
  }
};
template <typename T>
struct FitsEach {
  static bool check(const Json& value) {
    for (const Json& item : value)
      if (!Fits<T>::check(item)) return false;
    return true;
  }
};
template <typename T>
struct Fits<std::vector<T>> : FitsEach<T> {};
template <typename T, size_t n>
struct Fits<std::array<T, n>> : FitsEach<T> {};
template <typename T>
struct Fits<std::map<std::string, T>> : FitsEach<T> {};

}  // namespace json_detail

// The member `key` as T. Returns an error that names `where` and the key if the key is missing, the
// type is wrong, or an integer is out of T's range or not whole.
template <typename T>
Result<T> json_get(const Json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    return invalid_argument(where + ": key '" + key + "' is missing");
  }
  const Json& value = object.at(key);
  try {
    if constexpr (std::is_floating_point_v<T>) {
      if (const auto number = number_of(value)) return static_cast<T>(*number);
    }
    if (!json_detail::Fits<T>::check(value))
      return invalid_argument(where + ": key '" + key + "' has a value that is out of range: " +
                              dump_json(value).substr(0, 80));
    return value.get<T>();
  } catch (const nlohmann::json::exception&) {
    return invalid_argument(where + ": key '" + key + "' has the wrong type (" + json_type(value) +
                            ")");
  }
}

// Like json_get(), with a default for a missing or null member; a wrong type is still an error.
template <typename T>
Result<T> json_get_or(const Json& object, const std::string& key, T fallback,
                      const std::string& where) {
  if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return fallback;
  return json_get<T>(object, key, where);
}

}  // namespace longshot

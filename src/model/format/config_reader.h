#pragma once
// Typed access to the members of a config.json object. The first error is kept as a Status, and
// every later read returns its fallback, so that a parser reads as a list of fields.

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/json.h"
#include "base/status.h"

namespace longshot::model {

class ConfigReader {
 public:
  ConfigReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const Status& status() const { return status_; }

  // True for a member that is neither missing nor null.
  bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
  bool contains(const char* key) const { return object_.contains(key); }  // may be null
  const Json& at(const char* key) const { return object_.at(key); }

  // An integer in [low, high]. `fallback` is used for a missing or null member; without a fallback
  // the member is required.
  int integer(const char* key, std::optional<int> fallback, int low, int high) {
    if (!has(key)) return fallback ? *fallback : (fail(key, "is missing"), low);
    return static_cast<int>(checked_integer(key, at(key), low, high));
  }

  double number(const char* key, double fallback, double low, double high) {
    if (!has(key)) return fallback;
    const double value = at(key).is_number() ? at(key).get<double>() : std::nan("");
    if (value >= low && value <= high) return value;
    fail(key, fmt::format("is {}, expected a number from {} to {}", show(at(key)), low, high));
    return fallback;
  }

  bool flag(const char* key, bool fallback) {
    if (!has(key)) return fallback;
    if (at(key).is_boolean()) return at(key).get<bool>();
    fail(key, "is " + show(at(key)) + ", expected true or false");
    return fallback;
  }

  std::string text(const char* key, const std::string& fallback) {
    if (!has(key)) return fallback;
    if (at(key).is_string()) return at(key).get<std::string>();
    fail(key, "is " + show(at(key)) + ", expected a string");
    return fallback;
  }

  // Range check of any JSON value; nlohmann's own conversion would truncate silently.
  int64_t checked_integer(const char* key, const Json& value, int64_t low, int64_t high) {
    const bool fits = value.is_number_unsigned()
                          ? value.get<uint64_t>() <= std::numeric_limits<int64_t>::max()
                          : value.is_number_integer();
    if (fits && value.get<int64_t>() >= low && value.get<int64_t>() <= high)
      return value.get<int64_t>();
    fail(key, fmt::format("is {}, expected an integer from {} to {}", show(value), low, high));
    return low;
  }

  void fail(const char* key, const std::string& what) {
    if (status_.ok()) status_ = invalid_argument(fmt::format("{}: '{}' {}", where_, key, what));
  }

  static std::string show(const Json& value) {
    std::string text = dump_json(value);
    if (text.size() > 80) {
      text.resize(77);
      text += "...";
    }
    return text;
  }

 private:
  const Json& object_;
  std::string where_;
  Status status_;
};

}  // namespace longshot::model

#pragma once
// nlohmann::json without exceptions: parsing and typed field access that return a Status naming the
// place.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longshot {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// `where` names the source in the error, e.g. "data/train.jsonl:12".
Result<Json> parse_json(std::string_view text, const std::string& where);
Result<Json> read_json_file(const std::string& path);

// The member `key` as T. Missing key or wrong type: an error that names `where` and the key.
template <typename T>
Result<T> json_get(const Json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    return invalid_argument(where + ": key '" + key + "' is missing");
  }
  try {
    return object.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    return invalid_argument(where + ": key '" + key + "' has the wrong type (" +
                            object.at(key).type_name() + ")");
  }
}

// The same, with a default for a missing or null member; a wrong type is still an error.
template <typename T>
Result<T> json_get_or(const Json& object, const std::string& key, T fallback,
                      const std::string& where) {
  if (!object.is_object() || !object.contains(key) || object.at(key).is_null()) return fallback;
  return json_get<T>(object, key, where);
}

// One line, invalid UTF-8 replaced by U+FFFD (a model may emit any bytes).
std::string dump_json(const Json& value);
std::string dump_json(const OrderedJson& value);

}  // namespace longshot

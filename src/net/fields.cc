#include "net/fields.h"

#include <algorithm>
#include <limits>
#include <semaphore>

namespace longshot::net {

namespace {

constexpr size_t kLargeBody = 256 << 10;

// Parsing multiplies the size of a large body and occupies a core, so at most two are parsed at a
// time.
Result<Json> parse_body(const std::string& body) {
  static std::counting_semaphore<2> places(2);
  const bool large = body.size() > kLargeBody;
  if (large) places.acquire();
  auto json = parse_json(body, "the request's body", {.max_depth = kMaxInputJsonDepth});
  if (large) places.release();
  return json;
}

}  // namespace

Fields::Fields(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return;
  auto json = parse_body(body);
  if (!json.ok()) {
    fail("", json.status().message());
  } else if (!json->is_object()) {
    fail("", "the request's body must be a JSON object");
  } else {
    object_ = std::move(*json);
  }
}

Fields::Fields(Json object, std::string prefix)
    : object_(std::move(object)), prefix_(std::move(prefix)) {
  if (object_.is_object()) return;
  fail(ApiError{.message = "'" + prefix_ + "' must be an object", .param = prefix_});
  object_ = Json::object();
}

const Json* Fields::look(const std::string& key) {
  read_.insert(key);
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<Json> Fields::any(const std::string& key) {
  const Json* value = look(key);
  return value == nullptr ? std::nullopt : std::optional<Json>(*value);
}

bool Fields::boolean(const std::string& key, bool fallback) {
  const Json* value = look(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong_type(key, "true or false");
  return fallback;
}

double Fields::number(const std::string& key, double fallback) {
  const Json* value = look(key);
  if (value == nullptr) return fallback;
  if (const auto number = number_of(*value)) return *number;
  wrong_type(key, "a number");
  return fallback;
}

std::optional<int64_t> Fields::integer(const std::string& key, int64_t min, int64_t max) {
  const Json* value = look(key);
  if (value == nullptr) return std::nullopt;
  const bool too_large =
      value->is_number_unsigned() &&
      value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value->is_number_integer() || too_large) {
    wrong_type(key, "an integer");
    return std::nullopt;
  }
  const int64_t number = value->get<int64_t>();
  if (number >= min && number <= max) return number;
  fail(key, "must be from " + std::to_string(min) + " to " + std::to_string(max) + ", not " +
                std::to_string(number));
  return std::nullopt;
}

std::optional<std::string> Fields::string(const std::string& key) {
  const Json* value = look(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  wrong_type(key, "a string");
  return std::nullopt;
}

std::vector<std::string> Fields::strings(const std::string& key) {
  const Json* value = look(key);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  const bool list = value->is_array() && std::all_of(value->begin(), value->end(),
                                                     [](const Json& s) { return s.is_string(); });
  if (list) return value->get<std::vector<std::string>>();
  wrong_type(key, "a string or a list of strings");
  return {};
}

std::optional<std::vector<data::TokenId>> Fields::tokens(const std::string& key) {
  const Json* value = look(key);
  if (value == nullptr) return std::nullopt;
  auto ids = token_list(*value);
  if (!ids) wrong_type(key, "a list of token ids");
  return ids;
}

void Fields::ignore(const std::vector<std::string>& keys) {
  read_.insert(keys.begin(), keys.end());
}

void Fields::only(const std::string& key, const std::vector<Json>& neutral,
                  const std::string& advice) {
  const Json* value = look(key);
  if (value == nullptr || std::find(neutral.begin(), neutral.end(), *value) != neutral.end())
    return;
  fail(key, "is not supported" + (advice.empty() ? "" : ": " + advice), 400,
       "unsupported_parameter");
}

void Fields::finish() {
  for (const auto& [key, value] : object_.items()) {
    if (!read_.contains(key) && !value.is_null())
      fail(key, "is not a known parameter", 400, "unknown_parameter");
  }
  object_ = Json::object();
}

void Fields::wrong_type(const std::string& key, const std::string& expected) {
  fail(key, "must be " + expected, 400, "invalid_type");
}

void Fields::fail(const std::string& param, const std::string& message, int status,
                  const std::string& code) {
  const std::string name = param.empty() ? "" : prefix_ + param;
  fail(ApiError{.status = status,
                .message = name.empty() ? message : "'" + name + "' " + message,
                .param = name,
                .code = code});
}

void Fields::fail(ApiError error) {
  if (!error_) error_ = std::move(error);
}

std::optional<std::vector<data::TokenId>> token_list(const Json& json) {
  if (!json.is_array()) return std::nullopt;
  std::vector<data::TokenId> ids;
  for (const Json& id : json) {
    const bool sound =
        id.is_number_unsigned() &&
        id.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<data::TokenId>::max());
    if (!sound) return std::nullopt;
    ids.push_back(id.get<data::TokenId>());
  }
  return ids;
}

}  // namespace longshot::net

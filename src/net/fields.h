#pragma once
// Reads a request's JSON object. Only the first error is kept, and a getter that fails returns its
// default, so a parser can read all keys and check error() once. A key that no getter has read is
// an error: no request option is ignored silently.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/types.h"
#include "net/errors.h"

namespace longshot::net {

class Fields {
 public:
  // The text must be a JSON object; an empty text is read as {}.
  explicit Fields(const std::string& body);
  // `prefix` precedes the names in errors, e.g. "sampling_params.".
  Fields(Json object, std::string prefix);

  // Return the value, or the fallback for a missing or null key, and mark the key as read. A
  // pointer is valid until finish().
  const Json* look(const std::string& key);
  std::optional<Json> any(const std::string& key);
  bool boolean(const std::string& key, bool fallback);
  double number(const std::string& key, double fallback);
  std::optional<int64_t> integer(const std::string& key, int64_t min, int64_t max);
  std::optional<std::string> string(const std::string& key);
  std::vector<std::string> strings(const std::string& key);  // a string or a list of them
  std::optional<std::vector<data::TokenId>> tokens(const std::string& key);  // a list of ids >= 0

  // Accepts keys that do not change the answer.
  void ignore(const std::vector<std::string>& keys);
  // Rejects an unsupported option unless it is null or one of its neutral values. `advice`: what to
  // do instead.
  void only(const std::string& key, const std::vector<Json>& neutral,
            const std::string& advice = "");
  // Must be called last. Rejects every key that was not read, unless it is null. Frees the object,
  // which may be large, before the answer is generated.
  void finish();

  void fail(const std::string& param, const std::string& message, int status = 400,
            const std::string& code = "");
  void fail(ApiError error);
  bool ok() const { return !error_; }
  const ApiError& error() const { return *error_; }

 private:
  void wrong_type(const std::string& key, const std::string& expected);

  Json object_ = Json::object();
  std::string prefix_;
  std::set<std::string> read_;
  std::optional<ApiError> error_;
};

// Converts a list of token ids >= 0; nothing for any other value.
std::optional<std::vector<data::TokenId>> token_list(const Json& json);

}  // namespace longshot::net

#pragma once
// Reading a request's JSON object. The first error stays; getters then give defaults, so that a parser reads straight
// through and looks at error() once. A key that nobody read is an error: nothing a client asks for is ignored silently.

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
  // The text must be a JSON object; an empty one counts as {}.
  explicit Fields(const std::string& body);
  // `prefix` comes before the names in errors, e.g. "sampling_params.".
  Fields(Json object, std::string prefix);

  // The values; a missing or null key gives the fallback. Each also marks its key as read.
  // A pointer is valid until finish().
  const Json* look(const std::string& key);
  std::optional<Json> any(const std::string& key);
  bool boolean(const std::string& key, bool fallback);
  double number(const std::string& key, double fallback);
  std::optional<int64_t> integer(const std::string& key, int64_t least, int64_t most);
  std::optional<std::string> string(const std::string& key);
  std::vector<std::string> strings(const std::string& key);  // a string or a list of them
  std::optional<std::vector<data::TokenId>> tokens(const std::string& key);  // a list of ids >= 0

  // Keys that change nothing in the answer.
  void ignore(const std::vector<std::string>& keys);
  // A key that only has an effect which is not offered: anything but null and `neutral` is an error.
  void only(const std::string& key, const std::vector<Json>& neutral);
  // To be called last: every key must have been read, except for those that are null. Frees the
  // object, which may be large, before the answer is generated.
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

// A list of token ids >= 0; nothing if it is anything else.
std::optional<std::vector<data::TokenId>> token_list(const Json& json);

}  // namespace longshot::net

#pragma once
// The head of an HTTP/1.1 request: all that is known before the body is read. Heads that two readers
// could understand differently are refused, so that no request can hide in another one's body.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/errors.h"

namespace longshot::net {

struct RequestHead {
  std::string method;
  std::string path;                                          // decoded, without the query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  uint64_t length = 0;  // bytes of the body, if it is not chunked
  bool chunked = false;
  bool expects_continue = false;
  // The head for the HTTP library, which reads no body: without the headers on bodies, without
  // Range, which would let a client multiply an answer, and with HTTP/1.0 without Connection, as
  // such connections end with the answer.
  std::string text;

  // The value, or nothing if the header is missing.
  std::optional<std::string> header(std::string_view lower_name) const;
  bool has_body() const { return chunked || length > 0; }
};

// `text` is from the request line to the empty line. On success nothing is returned.
std::optional<ApiError> read_head(std::string_view text, RequestHead& head);

}  // namespace longshot::net

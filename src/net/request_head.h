#pragma once
// The head of an HTTP/1.1 request. A head that two readers could interpret differently is refused,
// so no request can hide in the body of another.

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
  // The head that is passed to the HTTP library, which reads no body. It omits the headers about
  // bodies and Range, which would let a client multiply an answer. With HTTP/1.0 it also omits
  // Connection, because such a connection ends with its answer.
  std::string text;

  // The value, or nothing if there is no such header.
  std::optional<std::string> header(std::string_view lower_name) const;
  bool has_body() const { return chunked || length > 0; }
};

// `text` extends from the request line to the empty line. Returns nothing on success.
std::optional<ApiError> read_head(std::string_view text, RequestHead& head);

}  // namespace longshot::net

#pragma once
// GET requests whose bodies may be large: the caller reads them piece by piece into its own memory,
// and can leave at any byte. Plain HTTP/1.1 with Content-Length; a server that sends chunks is
// refused.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/os/clock.h"
#include "base/status.h"
#include "net/bulk/byte_range.h"
#include "net/bulk/socket_io.h"
#include "net/http_client.h"
#include "net/tls/tls_identity.h"

namespace longshot::net {

// The head of an answer.
struct GetHead {
  int status = 0;
  uint64_t length = 0;                // bytes of the body
  std::optional<ContentRange> range;  // of a 206
  bool keep = true;                   // the connection remains open after the body
};
// Reads the text from the status line to the empty line. Error: corrupt.
Result<GetHead> read_get_head(std::string_view text);

// One connection that is kept between requests. Movable only; one thread at a time. Errors are
// those of ClientSocket and check_scheme(), and corrupt for an answer that is not HTTP. Messages
// begin with the server.
class HttpGet {
 public:
  // The url's server must be https:// if there is a certificate, and http:// otherwise.
  static Result<HttpGet> connect(const Url& url, const Credentials& credentials, Deadline deadline);

  // See ClientSocket.
  void wait_while(std::function<bool()> wanted) { socket_.wait_while(std::move(wanted)); }

  // Sends a request and reads the head of the answer, whatever its status. The body of the last
  // answer must have been read. `range` asks for a part.
  Result<GetHead> ask(const std::string& path, std::optional<ByteRange> range, Deadline deadline);
  // The next bytes of the body: at least one unless `out` or the rest of the body is empty. Error:
  // unavailable if the connection ends before the body.
  Result<size_t> read(std::span<char> out, Deadline deadline);
  // The rest of the body. Error: corrupt if it is longer than `most` bytes.
  Result<std::string> read_all(uint64_t most, Deadline deadline);

  uint64_t left() const { return left_; }  // bytes of the body not read yet
  // False if the connection cannot be used for another request.
  bool reusable() const { return left_ == 0 && keep_; }
  const std::string& server() const { return server_; }

 private:
  HttpGet(std::string server, std::string token, ClientSocket socket)
      : server_(std::move(server)), token_(std::move(token)), socket_(std::move(socket)) {}
  Result<std::string> read_head(Deadline deadline);

  std::string server_, token_;  // "http://host:port"
  ClientSocket socket_;
  std::string read_ahead_;  // bytes after the head
  uint64_t left_ = 0;
  bool keep_ = true;
};

// The error of an answer whose status is not the wanted one: not_found for 404, that of
// check_http_status() for others, corrupt for a success of another kind.
Status error_of_get(int status, const std::string& body, const std::string& who);

// The body of an answer with status 200. Errors: those above, and those of error_of_get().
Result<std::string> http_get(const Url& url, const Credentials& credentials, uint64_t most,
                             Deadline deadline);

}  // namespace longshot::net

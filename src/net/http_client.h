#pragma once
// JSON requests to services, with a deadline that applies no matter how the service behaves.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/os/clock.h"
#include "base/status.h"
#include "net/http_reply.h"

namespace longshot::net {

struct Url {
  std::string server;  // "http://host:port" or "https://..."
  std::string path;    // "/" or longer
};
// `who` is the prefix of error messages.
Result<Url> parse_url(const std::string& text, const std::string& who);

// What a request of stop_requested() does to calls.
enum class OnStop {
  cancel,  // running calls end soon and new ones are refused
  finish,  // nothing: for calls that a clean stop still needs
};

// How a streamed reply is read. Both functions are called until the call returns and not after it.
struct StreamReader {
  // The next bytes of the body of a 2xx reply, on the caller's thread. False ends the call.
  std::function<bool(std::string_view bytes)> receive;
  // Called about every 20 ms on another thread; the call ends soon after it returns true. Must be
  // quick.
  std::function<bool()> done;
};

// Thread-safe.
class HttpClient {
 public:
  // `tls_dir`: a folder with ca.crt, the authority of servers with https://, and, if there are such
  // files, tls.crt and tls.key, which are shown to them; they are read again when they change, as
  // TlsFolder does. Empty: the system's authorities.
  explicit HttpClient(std::map<std::string, std::string> headers = {},
                      OnStop on_stop = OnStop::cancel, std::string tls_dir = {});
  ~HttpClient();

  // Later calls send this header too, or another value of it.
  void set_header(const std::string& name, const std::string& value);

  // A reply with any status is a value. Errors: timeout and cancelled (by stop_requested()), both
  // reported promptly; invalid_argument if the files of `tls_dir` cannot be used or the server's
  // certificate is not accepted; unavailable if
  // there is no connection or it breaks; corrupt if the reply is
  // too long. `who` is the prefix of their messages. A reply that announced trailers is a value
  // even if the connection broke within it, so its body may be cut.
  Result<HttpReply> post(const Url& url, std::string body, Deadline deadline,
                         const std::string& who);

  // Like post(), with the method PUT.
  Result<HttpReply> put(const Url& url, std::string body, Deadline deadline,
                        const std::string& who);

  // Like post(), but hands a body with status 2xx to the reader as it arrives, without a limit on
  // its length; other bodies are in the reply. A call that the reader ends is cancelled. It is
  // unavailable also if the connection is not made within 2 s.
  Result<HttpReply> stream(const Url& url, std::string body, Deadline deadline,
                           const std::string& who, const StreamReader& reader);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::net

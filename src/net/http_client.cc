#include "net/http_client.h"

#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "base/os/stop.h"
#include "net/bulk/socket_io.h"
#include "net/tls/tls_identity.h"

namespace longshot::net {
namespace {

constexpr size_t kMaxReply = 16 << 20;
// A path without files. The library adds the system's authorities if it is given no path at all.
constexpr const char* kNoAuthorities = "/dev/null";
// Nothing ends an attempt to connect early, so that of a stream, which may last long, is short.
constexpr std::chrono::seconds kStreamConnect{2};

// Ends requests that are over, e.g. because their deadline has passed. The client's own timeouts
// apply to each read, so a server that trickles bytes would never exceed them.
class Watcher {
 public:
  Watcher() : thread_([this] { work(); }) {}
  ~Watcher() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  struct Entry {
    httplib::Client* client;
    std::function<bool()> over;
  };
  std::list<Entry>::iterator add(httplib::Client* client, std::function<bool()> over) {
    std::lock_guard lock(mutex_);
    entries_.push_back({client, std::move(over)});
    wake_.notify_all();
    return std::prev(entries_.end());
  }
  void remove(std::list<Entry>::iterator entry) {
    std::lock_guard lock(mutex_);
    entries_.erase(entry);
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (entries_.empty()) {
        wake_.wait(lock, [this] { return stopping_ || !entries_.empty(); });
        continue;
      }
      wake_.wait_for(lock, std::chrono::milliseconds(20));
      for (auto& entry : entries_) {
        if (entry.over()) entry.client->stop();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Entry> entries_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace

Result<Url> parse_url(const std::string& text, const std::string& who) {
  const std::string where = who + ": url '" + text + "'";
  const size_t scheme = text.starts_with("http://") ? 7 : text.starts_with("https://") ? 8 : 0;
  if (scheme == 0)
    return invalid_argument(where + ": expected http://host:port/path or https://...");
  const size_t slash = text.find('/', scheme);
  const Url url{text.substr(0, slash), slash == std::string::npos ? "/" : text.substr(slash)};
  if (url.server.size() == scheme || !httplib::Client(url.server).is_valid()) {
    return invalid_argument(where + ": not a valid host and port");
  }
  return url;
}

namespace {

// "host" of "http://host:port"; an IPv6 address without its brackets.
std::string host_of(const std::string& server) {
  const std::string rest = server.substr(server.find("//") + 2);
  if (rest.starts_with('[')) return rest.substr(1, rest.find(']') - 1);
  return rest.substr(0, rest.find(':'));
}

}  // namespace

class HttpClient::Impl {
 public:
  Impl(std::map<std::string, std::string> headers, OnStop on_stop, std::string tls_dir)
      : headers_(headers.begin(), headers.end()), on_stop_(on_stop), tls_dir_(std::move(tls_dir)) {
    if (tls_dir_.empty()) return;
    auto folder = ClientFolder::open(tls_dir_);
    tls_status_ = folder.status();
    if (folder.ok()) tls_ = std::move(folder).value();
  }

  void set_header(const std::string& name, const std::string& value) {
    std::lock_guard lock(mutex_);
    headers_.erase(name);
    headers_.emplace(name, value);
  }

  Result<HttpReply> send(const char* method, const Url& url, std::string content, Deadline deadline,
                         const std::string& who, const StreamReader* reader) {
    if (stopped()) return cancelled(who + ": stopped");
    if (deadline.expired()) return timeout_error(who + ": no time left");
    LS_RETURN_IF_ERROR(tls_status_.with_context(who));
    HttpReply reply;
    bool has_trailers = false;
    auto request = request_of(url, std::move(content), reply, has_trailers, reader);
    request.method = method;
    LS_ASSIGN_OR_RETURN(const Outcome result, send_to_any(url, request, deadline, who, reader));
    if (!result.ok() && reader != nullptr && reader->done()) return cancelled(who + ": ended");
    const bool at_trailers = result.error == httplib::Error::Read && has_trailers;
    if (!result.ok() && (!at_trailers || stopped() || deadline.expired()))
      return failure(result, reply.body.size() > kMaxReply, deadline, who);
    return reply;
  }

 private:
  bool stopped() const { return on_stop_ == OnStop::cancel && stop_requested(); }

  struct Outcome {
    httplib::Error error = httplib::Error::Unknown;
    long certificate = 0;  // OpenSSL's verdict on the server's
    bool ok() const { return error == httplib::Error::Success; }
  };

  // The library would look up the address without regard to the deadline.
  Result<Outcome> send_to_any(const Url& url, const httplib::Request& request, Deadline deadline,
                              const std::string& who, const StreamReader* reader) {
    const std::string host = host_of(url.server);
    const auto addresses = addresses_of(host, deadline);
    if (!addresses.ok()) return addresses.status().with_context(who);
    Outcome outcome;
    for (const std::string& address : *addresses) {
      outcome = send_to(url, host, address, request, deadline, reader);
      if (outcome.error != httplib::Error::Connection || deadline.expired() || stopped()) break;
    }
    return outcome;
  }

  Outcome send_to(const Url& url, const std::string& host, const std::string& address,
                  const httplib::Request& request, Deadline deadline, const StreamReader* reader) {
    httplib::Client client(url.server);
    if (tls_ && client.ssl_context() != nullptr) {
      if (!tls_->current()->apply_to(client.ssl_context()).ok())
        return {httplib::Error::SSLLoadingCerts};
      client.set_ca_cert_path("", kNoAuthorities);
    }
    client.set_hostname_addr_map({{host, address}});
    const auto left = std::chrono::duration<double>(std::min(deadline.seconds_left(), 86400.0));
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left);
    client.set_connection_timeout(
        reader == nullptr ? micros : std::min(micros, std::chrono::microseconds(kStreamConnect)));
    client.set_read_timeout(micros);
    client.set_write_timeout(micros);
    client.set_tcp_nodelay(true);
    const auto entry = watcher_.add(&client, [this, deadline, reader] {
      return stopped() || deadline.expired() || (reader != nullptr && reader->done());
    });
    const auto result = client.send(request);
    watcher_.remove(entry);
    return {result.error(), client.get_openssl_verify_result()};
  }

  // cpp-httplib takes trailers after a chunked body (RFC 9112, 7.1.2) for a broken connection. The
  // body is complete then, so such a reply is a value; its reader notices a body that was cut.
  httplib::Request request_of(const Url& url, std::string content, HttpReply& reply,
                              bool& has_trailers, const StreamReader* reader) {
    httplib::Request request;
    request.path = url.path;
    {
      std::lock_guard lock(mutex_);
      request.headers = headers_;
    }
    request.headers.emplace("Content-Type", "application/json");
    request.body = std::move(content);
    request.response_handler = [&](const httplib::Response& response) {
      reply.status = response.status;
      reply.retry_after = read_retry_after(response.get_header_value("Retry-After"));
      has_trailers = response.has_header("Trailer");
      return true;
    };
    request.content_receiver = [&reply, reader](const char* data, size_t size, uint64_t, uint64_t) {
      if (reader != nullptr && reply.status / 100 == 2) return reader->receive({data, size});
      reply.body.append(data, size);
      return reply.body.size() <= kMaxReply;
    };
    return request;
  }

  Status failure(const Outcome& outcome, bool too_long, Deadline deadline,
                 const std::string& who) const {
    if (too_long) return corrupt(who + ": the reply is too long");
    if (stopped()) return cancelled(who + ": stopped");
    if (deadline.seconds_left() < 0.002) return timeout_error(who + ": no answer in time");
    if (outcome.error == httplib::Error::Canceled) return cancelled(who + ": ended");
    if (outcome.error == httplib::Error::SSLLoadingCerts)
      return invalid_argument(who + ": the files in " + tls_dir_ + " cannot be used for TLS");
    if (outcome.error == httplib::Error::SSLServerVerification)
      return invalid_argument(who + ": " + certificate_problem(outcome.certificate));
    return unavailable(who + ": " + httplib::to_string(outcome.error));
  }

  // The library checks the host's name after OpenSSL has accepted the certificate.
  std::string certificate_problem(long verdict) const {
    if (verdict == 0) return "the server's certificate is for other hosts";
    const std::string authority =
        tls_dir_.empty() ? "the system's authorities" : "the authority in " + tls_dir_ + "/ca.crt";
    return "the server's certificate is not accepted with " + authority + ": " +
           X509_verify_cert_error_string(verdict);
  }

  std::mutex mutex_;
  httplib::Headers headers_;  // guarded by mutex_
  const OnStop on_stop_;
  const std::string tls_dir_;
  Status tls_status_;                        // of opening tls_dir_
  std::shared_ptr<const ClientFolder> tls_;  // null: the system's authorities
  Watcher watcher_;
};

HttpClient::HttpClient(std::map<std::string, std::string> headers, OnStop on_stop,
                       std::string tls_dir)
    : impl_(std::make_unique<Impl>(std::move(headers), on_stop, std::move(tls_dir))) {}
HttpClient::~HttpClient() = default;

void HttpClient::set_header(const std::string& name, const std::string& value) {
  impl_->set_header(name, value);
}

Result<HttpReply> HttpClient::post(const Url& url, std::string body, Deadline deadline,
                                   const std::string& who) {
  return impl_->send("POST", url, std::move(body), deadline, who, nullptr);
}

Result<HttpReply> HttpClient::put(const Url& url, std::string body, Deadline deadline,
                                  const std::string& who) {
  return impl_->send("PUT", url, std::move(body), deadline, who, nullptr);
}

Result<HttpReply> HttpClient::stream(const Url& url, std::string body, Deadline deadline,
                                     const std::string& who, const StreamReader& reader) {
  return impl_->send("POST", url, std::move(body), deadline, who, &reader);
}

}  // namespace longshot::net

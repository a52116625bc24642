#include "net/http_client.h"

#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "base/os/stop.h"

namespace longshot::net {
namespace {

constexpr size_t kMaxReply = 16 << 20;
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

class HttpClient::Impl {
 public:
  Impl(std::map<std::string, std::string> headers, OnStop on_stop)
      : headers_(headers.begin(), headers.end()), on_stop_(on_stop) {}

  Result<HttpReply> post(const Url& url, std::string content, Deadline deadline,
                         const std::string& who, const StreamReader* reader) {
    if (stopped()) return cancelled(who + ": stopped");
    if (deadline.expired()) return timeout_error(who + ": no time left");
    HttpReply reply;
    bool has_trailers = false;
    const auto result = send(url, request_of(url, std::move(content), reply, has_trailers, reader),
                             deadline, reader);
    if (!result && reader != nullptr && reader->done()) return cancelled(who + ": ended");
    const bool at_trailers = result.error() == httplib::Error::Read && has_trailers;
    if (!result && (!at_trailers || stopped() || deadline.expired()))
      return failure(result.error(), reply.body.size() > kMaxReply, deadline, who);
    return reply;
  }

 private:
  bool stopped() const { return on_stop_ == OnStop::cancel && stop_requested(); }

  httplib::Result send(const Url& url, const httplib::Request& request, Deadline deadline,
                       const StreamReader* reader) {
    httplib::Client client(url.server);
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
    auto result = client.send(request);
    watcher_.remove(entry);
    return result;
  }

  // cpp-httplib takes trailers after a chunked body (RFC 9112, 7.1.2) for a broken connection. The
  // body is complete then, so such a reply is a value; its reader notices a body that was cut.
  httplib::Request request_of(const Url& url, std::string content, HttpReply& reply,
                              bool& has_trailers, const StreamReader* reader) const {
    httplib::Request request;
    request.method = "POST";
    request.path = url.path;
    request.headers = headers_;
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

  Status failure(httplib::Error error, bool too_long, Deadline deadline,
                 const std::string& who) const {
    if (too_long) return corrupt(who + ": the reply is too long");
    if (stopped()) return cancelled(who + ": stopped");
    if (deadline.seconds_left() < 0.002) return timeout_error(who + ": no answer in time");
    if (error == httplib::Error::Canceled) return cancelled(who + ": ended");
    return unavailable(who + ": " + httplib::to_string(error));
  }

  const httplib::Headers headers_;
  const OnStop on_stop_;
  Watcher watcher_;
};

HttpClient::HttpClient(std::map<std::string, std::string> headers, OnStop on_stop)
    : impl_(std::make_unique<Impl>(std::move(headers), on_stop)) {}
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::post(const Url& url, std::string body, Deadline deadline,
                                   const std::string& who) {
  return impl_->post(url, std::move(body), deadline, who, nullptr);
}

Result<HttpReply> HttpClient::stream(const Url& url, std::string body, Deadline deadline,
                                     const std::string& who, const StreamReader& reader) {
  return impl_->post(url, std::move(body), deadline, who, &reader);
}

}  // namespace longshot::net

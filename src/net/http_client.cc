#include "net/http_client.h"

#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/os/stop.h"

namespace longshot::net {
namespace {

constexpr size_t kMaxReply = 16 << 20;

// Ends requests whose deadline has passed or that must stop. The client's own timeouts apply to
// each read, so a server that trickles bytes would never exceed them.
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
    Deadline deadline;
  };
  std::list<Entry>::iterator add(httplib::Client* client, Deadline deadline) {
    std::lock_guard lock(mutex_);
    entries_.push_back({client, deadline});
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
        if (stop_requested() || entry.deadline.expired()) entry.client->stop();
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
  explicit Impl(std::map<std::string, std::string> headers)
      : headers_(headers.begin(), headers.end()) {}

  Result<HttpReply> post(const Url& url, std::string content, Deadline deadline,
                         const std::string& who) {
    if (stop_requested()) return cancelled(who + ": stopped");
    if (deadline.expired()) return timeout_error(who + ": no time left");
    HttpReply reply;
    const auto result = send(url, std::move(content), deadline, reply.body);
    if (!result) return failure(result.error(), reply.body.size() > kMaxReply, deadline, who);
    reply.status = result->status;
    reply.retry_after = read_retry_after(result->get_header_value("Retry-After"));
    return reply;
  }

 private:
  httplib::Result send(const Url& url, std::string content, Deadline deadline, std::string& body) {
    httplib::Client client(url.server);
    const auto left = std::chrono::duration<double>(std::min(deadline.seconds_left(), 86400.0));
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left);
    client.set_connection_timeout(micros);
    client.set_read_timeout(micros);
    client.set_write_timeout(micros);
    httplib::Request request;
    request.method = "POST";
    request.path = url.path;
    request.headers = headers_;
    request.headers.emplace("Content-Type", "application/json");
    request.body = std::move(content);
    request.content_receiver = [&body](const char* data, size_t size, uint64_t, uint64_t) {
      body.append(data, size);
      return body.size() <= kMaxReply;
    };
    const auto entry = watcher_.add(&client, deadline);
    auto result = client.send(request);
    watcher_.remove(entry);
    return result;
  }

  static Status failure(httplib::Error error, bool too_long, Deadline deadline,
                        const std::string& who) {
    if (too_long) return corrupt(who + ": the reply is too long");
    if (stop_requested()) return cancelled(who + ": stopped");
    if (deadline.seconds_left() < 0.002) return timeout_error(who + ": no answer in time");
    return unavailable(who + ": " + httplib::to_string(error));
  }

  const httplib::Headers headers_;
  Watcher watcher_;
};

HttpClient::HttpClient(std::map<std::string, std::string> headers)
    : impl_(std::make_unique<Impl>(std::move(headers))) {}
HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::post(const Url& url, std::string body, Deadline deadline,
                                   const std::string& who) {
  return impl_->post(url, std::move(body), deadline, who);
}

}  // namespace longshot::net

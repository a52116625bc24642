// The http plug-in.

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/stop.h"
#include "reward/plugins.h"
#include "reward/rules.h"

namespace longshot::reward {
namespace {

constexpr size_t kMaxReply = 16 << 20;

struct Url {
  std::string server;  // "http://host:port"
  std::string path;
};

Result<Url> parse_url(const std::string& text) {
  const std::string where = "reward http: url '" + text + "'";
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

// Ends requests whose deadline has passed or whose caller was asked to stop: the client's own
// timeouts are per read, so a server that trickles bytes would never meet them.
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

class HttpReward : public Reward {
 public:
  HttpReward(Url url, httplib::Headers headers, std::string who)
      : url_(std::move(url)), headers_(std::move(headers)), who_(std::move(who)) {}
  std::string name() const override { return "http"; }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    if (stop_requested()) return cancelled(who_ + ": stopped");
    if (deadline.expired()) return timeout_error(who_ + ": no time left");
    std::string body;
    const auto result = post(dump_json(plugin_request(question)), deadline, body);
    if (!result) return failure(result.error(), body.size() > kMaxReply, deadline);
    const int status = result->status;
    if (status >= 500 || status == 408 || status == 429) {
      return unavailable(who_ + ": status " + std::to_string(status) + ": " + body.substr(0, 200));
    }
    if (status < 200 || status >= 300) {
      return invalid_argument(who_ + ": status " + std::to_string(status) + ": " +
                              body.substr(0, 200));
    }
    const auto reply = parse_json(body, who_);
    if (!reply.ok() || !reply->is_object())
      return corrupt(who_ + ": the reply is not a JSON object: " + body.substr(0, 200));
    return plugin_score(*reply, who_);
  }

 private:
  httplib::Result post(std::string content, Deadline deadline, std::string& body) {
    httplib::Client client(url_.server);
    const auto left = std::chrono::duration<double>(std::min(deadline.seconds_left(), 86400.0));
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left);
    client.set_connection_timeout(micros);
    client.set_read_timeout(micros);
    client.set_write_timeout(micros);
    httplib::Request request;
    request.method = "POST";
    request.path = url_.path;
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

  Status failure(httplib::Error error, bool too_long, Deadline deadline) const {
    if (too_long) return corrupt(who_ + ": the reply is too long");
    if (stop_requested()) return cancelled(who_ + ": stopped");
    if (deadline.seconds_left() < 0.002) return timeout_error(who_ + ": no answer in time");
    return unavailable(who_ + ": " + httplib::to_string(error));
  }

  const Url url_;
  const httplib::Headers headers_;
  const std::string who_;
  Watcher watcher_;
};

}  // namespace

Result<std::unique_ptr<Reward>> make_http(const Json& options) {
  const std::string where = "reward http";
  LS_RETURN_IF_ERROR(check_options("http", options, {"url", "headers"}));
  LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(options, "url", where));
  LS_ASSIGN_OR_RETURN(Url url, parse_url(text));
  LS_ASSIGN_OR_RETURN(const auto headers, (json_get_or<std::map<std::string, std::string>>(
                                              options, "headers", {}, where)));
  return std::unique_ptr<Reward>(std::make_unique<HttpReward>(
      std::move(url), httplib::Headers(headers.begin(), headers.end()), "http " + text));
}

}  // namespace longshot::reward

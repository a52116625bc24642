#pragma once
// An HTTP service with scripted JSON replies, for tests.

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"

namespace longshot::net {

struct FakeReply {
  int status = 200;
  std::string body = {};
  double seconds = 0;            // delay before the reply
  std::string retry_after = {};  // header; empty: none
};

// Answers POSTs to `path` with its replies in order and repeats the last one.
class FakeService {
 public:
  FakeService(const std::string& path, std::vector<FakeReply> replies)
      : replies_(std::move(replies)) {
    server_.Post(path, [this](const httplib::Request& request, httplib::Response& response) {
      const FakeReply reply = next(request);
      std::this_thread::sleep_for(std::chrono::duration<double>(reply.seconds));
      response.status = reply.status;
      if (!reply.retry_after.empty()) response.set_header("Retry-After", reply.retry_after);
      response.set_content(reply.body, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~FakeService() {
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<Json> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  std::string key() {  // the Authorization header of the last request
    std::lock_guard lock(mutex_);
    return key_;
  }

 private:
  FakeReply next(const httplib::Request& request) {
    std::lock_guard lock(mutex_);
    requests_.push_back(Json::parse(request.body));
    key_ = request.get_header_value("Authorization");
    return replies_[std::min(requests_.size(), replies_.size()) - 1];
  }

  httplib::Server server_;
  std::mutex mutex_;
  const std::vector<FakeReply> replies_;
  std::vector<Json> requests_;
  std::string key_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace longshot::net

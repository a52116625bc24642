#pragma once
// A server with vLLM's routes whose tokens follow a fixed rule, for tests.

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "data/types.h"

namespace longshot::rollout {

constexpr int kFakeVocab = 50;

// The token after a sequence, and its log-probability with weights of `version`.
inline data::TokenId fake_next(const std::vector<data::TokenId>& tokens) {
  return (7 * tokens.back() + 3 * static_cast<int>(tokens.size())) % kFakeVocab;
}
inline float fake_logprob(data::TokenId token, int version) {
  return -0.25f - 0.01f * static_cast<float>(token + version);
}

class FakeVllm {
 public:
  FakeVllm() {
    server_.Post("/collective_rpc", [this](const httplib::Request&, httplib::Response& response) {
      if (!frozen) ++version;
      response.set_content(R"({"results":[null]})", "application/json");
    });
    server_.Post("/reset_prefix_cache", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(R"({"success":true})", "application/json");
    });
    server_.Post("/v1/completions",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   complete(*parse_json(request.body, "request"), response);
                 });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~FakeVllm() { stop(); }
  void stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // The samples that are asked for from now on get these errors first, one each.
  void fail_next(std::vector<int> statuses) {
    std::lock_guard lock(mutex_);
    statuses_ = std::move(statuses);
  }
  std::vector<Json> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

  std::atomic<bool> frozen{false};  // reports that it has loaded weights and loads none
  std::atomic<int> version{0};
  std::atomic<int> most_tokens{1 << 20};  // the answer breaks off after this many

 private:
  int next_status(const Json& request) {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (statuses_.empty()) return 200;
    const int status = statuses_.front();
    statuses_.erase(statuses_.begin());
    return status;
  }

  void complete(const Json& request, httplib::Response& response) {
    response.status = next_status(request);
    if (response.status != 200) {
      response.set_content(R"({"error":{"message":"as told","code":400}})", "application/json");
      return;
    }
    auto tokens = request.at("prompt").get<std::vector<data::TokenId>>();
    const auto stops = request.at("stop_token_ids").get<std::vector<data::TokenId>>();
    const int most = request.at("max_tokens").get<int>();
    std::string body;
    for (int i = 0; i < most && i < most_tokens; ++i) {
      const data::TokenId token = fake_next(tokens);
      tokens.push_back(token);
      const bool stopped = std::ranges::count(stops, token) > 0;
      const bool last = stopped || i + 1 == most;
      const float logprob = request.at("top_k") == 1 ? 0 : fake_logprob(token, version);
      body += fmt::format(
          R"(data: {{"choices":[{{"token_ids":[{}],"logprobs":{{"token_logprobs":[{}]}},)"
          R"("finish_reason":{}}}]}})"
          "\n\n",
          token, logprob, last ? (stopped ? "\"stop\"" : "\"length\"") : "null");
      if (last) break;
    }
    response.set_content(body, "text/event-stream");
  }

  httplib::Server server_;
  std::mutex mutex_;
  std::vector<int> statuses_;
  std::vector<Json> requests_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace longshot::rollout

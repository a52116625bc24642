// The whole server as `longshot serve` assembles it, with real arithmetic and sockets. Some clients
// disconnect in the middle of an answer, and another thread pauses the server and changes the
// weights. For a longer run: --gtest_filter=Server.* --gtest_repeat=20.
#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <thread>

#include "base/os/clock.h"
#include "model/format/testing.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/testing.h"
#include "tokenizer/testing.h"

namespace longshot::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr int kClients = 16, kRequests = 6, kTokens = 40;

void write_random_model(const std::string& directory, uint64_t seed) {
  const auto tokenizer = *tokenizer::parse(tokenizer::small_bpe());
  model::ModelConfig config = rollout::small_config();
  config.vocab_size = tokenizer->vocab_size();
  const auto model = rollout::random_model(config, seed);
  const Status written = model::write_model(directory, model->view, tokenizer.get(), nullptr);
  ASSERT_TRUE(written.ok()) << written.message();
}

httplib::Request streamed_request(int number) {
  const Json body = {{"model", "random"},
                     {"prompt", "hello " + std::to_string(number % 5)},
                     {"max_tokens", kTokens},
                     {"ignore_eos", true},
                     {"stream", true}};
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = body.dump();
  return request;
}

std::unique_ptr<rollout::Engine> make_engine(const model::ModelFiles& files) {
  auto runner = rollout::make_cpu_runner({.max_running = 6, .max_sequence = 128}, 2);
  const Status loaded = runner->load_weights(model::view_of(files.config, files.weights));
  EXPECT_TRUE(loaded.ok()) << loaded.message();
  auto engine = std::make_unique<rollout::Engine>(std::move(runner), files.tokenizer.get(), 2);
  engine->keep_finished(true);
  return engine;
}

class Server : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const uint64_t seed : {0, 1}) write_random_model(weights(seed), seed);
    files_ = *model::read_model(weights(0));
    worker_ = std::make_unique<rollout::EngineThread>(make_engine(files_));
    context_.reset(new Context{.worker = *worker_,
                               .metrics = metrics_,
                               .tokenizer = *files_.tokenizer,
                               .chat_template = files_.chat_template,
                               .config = files_.config,
                               .models = models_,
                               .system = ""});
    // Starts and stops a first server, which initializes httplib's local statics: tsan does not see
    // their guards in a compiled library.
    start();
    post("/v1/completions", {{"model", "random"}, {"prompt", "hello"}, {"stream", true}});
    start();
  }

  void start() {
    net::HttpOptions options;
    options.port = 0;
    options.access_log = false;
    http_.reset();
    http_ = *net::HttpServer::start(options, all_routes(*context_), metrics_.requests);
  }

  std::string weights(uint64_t seed) const { return directory_ / std::to_string(seed); }

  void post(const std::string& path, const Json& body) {
    httplib::Client client("127.0.0.1", http_->port());
    const auto answer = client.Post(path, body.dump(), "application/json");
    ASSERT_TRUE(answer) << path;
    EXPECT_EQ(answer->status, 200) << path << ": " << answer->body;
  }

  // Streams every answer to its end, except for every third one, which it abandons after the first
  // piece.
  void be_a_client(int number) {
    httplib::Client client("127.0.0.1", http_->port());
    for (int i = 0; i < kRequests; ++i) {
      const bool leaves = (number + i) % 3 == 0;
      std::string all;
      httplib::Request request = streamed_request(number);
      request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
        all.append(data, size);
        return !leaves;
      };
      const auto answer = client.send(request);
      EXPECT_EQ(static_cast<bool>(answer), !leaves) << all;
      if (leaves) continue;
      EXPECT_THAT(all, HasSubstr("\"finish_reason\":\"length\""));
      EXPECT_THAT(all, EndsWith("data: [DONE]\n\n"));
      ++answered_;
    }
  }

  // Runs until `over`; returns how often the weights were changed.
  int64_t disturb(const std::atomic<bool>& over) {
    int64_t changes = 0;
    while (!over) {
      post("/pause", Json::object());
      if (changes % 3 == 0) post("/update_weights", {{"path", weights(++changes % 2)}});
      post("/resume", Json::object());
      post("/update_weights", {{"path", weights(++changes % 2)}});
      EXPECT_TRUE(httplib::Client("127.0.0.1", http_->port()).Get("/metrics"));
    }
    return changes;
  }

  const model::TemporaryDirectory directory_;
  model::ModelFiles files_;
  std::unique_ptr<rollout::EngineThread> worker_;
  ModelMetrics metrics_;
  ServedModels models_{{.name = "random", .root = "", .parent = ""}};
  std::unique_ptr<Context> context_;
  std::unique_ptr<net::HttpServer> http_;
  std::atomic<int> answered_{0};
};

TEST_F(Server, ClientsComeAndLeaveWhileWeightsChange) {
  std::atomic<bool> over{false};
  int64_t changes = 0;
  std::thread owner([&] { changes = disturb(over); });
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back([this, i] { be_a_client(i); });
  for (std::thread& client : clients) client.join();
  over = true;
  owner.join();
  const Deadline deadline = Deadline::after_seconds(30);
  while (http_->in_flight() > 0 && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const rollout::EngineThreadStats stats = worker_->stats();  // including SetUp's sample
  EXPECT_EQ(answered_, kClients * kRequests * 2 / 3);
  EXPECT_GE(stats.finished, answered_);  // a sample may have ended before its client disconnected
  EXPECT_EQ(stats.finished + stats.aborted, kClients * kRequests + 1);
  EXPECT_EQ(stats.running + stats.waiting, 0);
  EXPECT_GT(changes, 0);
  EXPECT_EQ(stats.version, changes);
}

}  // namespace
}  // namespace longshot::server

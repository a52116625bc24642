#include "net/http_server.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include "base/os/clock.h"
#include "server/server.h"
#include "server/testing.h"

namespace longshot::server {
namespace {

struct Running {
  explicit Running(net::HttpOptions options = {}, int max_sequence = 256)
      : server(4, 8, max_sequence) {
    options.port = 0;
    options.access_log = false;
    http = *net::HttpServer::start(options, all_routes(server.context), server.metrics.requests);
  }
  httplib::Client client() const { return httplib::Client("127.0.0.1", http->port()); }
  Json post(const std::string& path, const Json& body, int status) const {
    const auto result = client().Post(path, body.dump(), "application/json");
    if (!result) return {};
    EXPECT_EQ(result->status, status) << result->body;
    return Json::parse(result->body, nullptr, false);
  }
  std::string metrics() const { return client().Get("/metrics")->body; }

  TestServer server;
  std::unique_ptr<net::HttpServer> http;
};

const Json kLongAnswer = {{"model", "tiny"}, {"prompt", "abc"}, {"max_tokens", 8000}};

bool eventually(const std::function<bool()>& holds) {
  const Deadline deadline = Deadline::after_seconds(10);
  while (!holds() && !deadline.expired()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return holds();
}

TEST(Http, RoutesAnswerAndErrorsAreObjects) {
  Running running;
  auto client = running.client();
  EXPECT_EQ(Json::parse(client.Get("/v1/models")->body)["data"][0]["id"], "tiny");
  EXPECT_EQ(client.Get("/v1/models/tiny")->status, 200);
  EXPECT_EQ(client.Get("/v1/models/other")->status, 404);
  EXPECT_EQ(client.Get("/health")->status, 200);
  EXPECT_EQ(client.Get("/nothing")->status, 404);
  EXPECT_EQ(Json::parse(client.Get("/nothing")->body)["error"]["type"], "invalid_request_error");
  EXPECT_EQ(client.Get("/v1/completions")->status, 405);
  EXPECT_EQ(client.Put("/health")->status, 405);
  EXPECT_TRUE(Json::parse(client.Put("/health")->body).contains("error"));
  const auto bad = client.Post("/v1/completions", "{\"model\"", "application/json");
  EXPECT_EQ(bad->status, 400);
  EXPECT_TRUE(Json::parse(bad->body).contains("error"));
}

TEST(Http, TooLargeABodyIs413) {
  Running running;
  const auto result =
      running.client().Post("/tokenize", std::string((64 << 20) + 1, ' '), "application/json");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 413);
  EXPECT_TRUE(Json::parse(result->body).contains("error"));
}

TEST(Http, TheKeyIsAskedForEverywhereButForHealth) {
  Running running({.api_key = "secret"});
  auto client = running.client();
  EXPECT_EQ(client.Get("/v1/models")->status, 401);
  EXPECT_EQ(client.Get("/health")->status, 200);
  client.set_bearer_token_auth("secreT");
  EXPECT_EQ(client.Get("/v1/models")->status, 401);
  client.set_bearer_token_auth("secret");
  EXPECT_EQ(client.Get("/v1/models")->status, 200);
}

TEST(Http, TokensThereAndBack) {
  Running running;
  const Json there = running.post("/tokenize", {{"prompt", "abc"}}, 200);
  EXPECT_EQ(there["count"], there["tokens"].size());
  EXPECT_EQ(running.post("/detokenize", {{"tokens", there["tokens"]}}, 200)["prompt"], "abc");
  EXPECT_EQ(running.post("/tokenize", {{"messages", {{{"role", "user"}, {"content", "abc"}}}}},
                         200)["tokens"],
            there["tokens"]);
  running.post("/tokenize", {{"prompt", 3}}, 400);
  EXPECT_EQ(running.post("/detokenize", {{"tokens", {1000000}}}, 400)["error"]["param"], "tokens");
}

TEST(Http, AStreamArrivesInPieces) {
  Running running;
  std::string all;
  int pieces = 0;
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body =
      Json{{"model", "tiny"}, {"prompt", "abc"}, {"max_tokens", 50}, {"stream", true}}.dump();
  request.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    all.append(data, size);
    ++pieces;
    return true;
  };
  auto client = running.client();
  const auto result = client.send(request);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  EXPECT_TRUE(all.ends_with("data: [DONE]\n\n"));
  EXPECT_GT(pieces, 5);
  // A request is counted when its last piece is written, which may be after the client has read it.
  EXPECT_TRUE(eventually([&] {
    return running.metrics().find(
               "longshot_requests_total{route=\"/v1/completions\",status=\"200\"} 1") !=
           std::string::npos;
  }));
}

class ClientGone : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Streaming, ClientGone, ::testing::Bool());

TEST_P(ClientGone, ItsSamplesAreAborted) {
  Running running({}, 16384);
  auto client = running.client();
  Json body = kLongAnswer;
  body["stream"] = GetParam();
  std::thread leaver([&] {
    EXPECT_TRUE(eventually([&] { return running.server.worker.stats().generated_tokens > 3; }));
    client.stop();
  });
  EXPECT_FALSE(client.Post("/v1/completions", body.dump(), "application/json"));
  leaver.join();
  EXPECT_TRUE(eventually([&] { return running.server.worker.stats().aborted == 1; }));
  EXPECT_EQ(running.server.worker.stats().finished, 0);
  EXPECT_TRUE(eventually([&] {
    return running.metrics().find("route=\"/v1/completions\",status=\"499\"} 1") !=
           std::string::npos;
  }));
}

TEST(Http, PauseStopsAndAbortEndsWhatIsInFlight) {
  Running running({}, 16384);
  std::thread client([&] {
    EXPECT_EQ(running.post("/v1/completions", kLongAnswer, 503)["error"]["code"], "aborted");
  });
  EXPECT_TRUE(eventually([&] { return running.server.worker.stats().generated_tokens > 3; }));
  running.post("/pause", {{"mode", "sideways"}}, 400);
  EXPECT_EQ(running.post("/pause", Json::object(), 200)["status"], "paused");
  const int64_t at_pause = running.server.worker.stats().generated_tokens;
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(running.server.worker.stats().generated_tokens, at_pause);
  EXPECT_EQ(running.post("/pause?mode=abort", Json::object(), 200)["status"], "paused");
  client.join();
  running.post("/resume", Json::object(), 200);
  EXPECT_FALSE(running.server.worker.stats().paused);
}

TEST(Http, NewRequestsAreRefusedWhileThoseInFlightFinish) {
  Running running;
  running.server.worker.pause();
  std::thread client([&] {
    running.post("/v1/completions", {{"model", "tiny"}, {"prompt", "a"}, {"max_tokens", 5}}, 200);
  });
  EXPECT_TRUE(eventually([&] { return running.http->in_flight() == 1; }));
  running.http->refuse_new();
  EXPECT_EQ(running.client().Get("/health")->status, 503);
  running.server.worker.resume();
  client.join();
  EXPECT_TRUE(eventually([&] { return running.http->in_flight() == 0; }));
}

TEST(Http, ABusyPortIsAnErrorThatSaysSo) {
  Running running;
  net::HttpOptions options;
  options.port = running.http->port();
  const auto second = net::HttpServer::start(options, {}, running.server.metrics.requests);
  EXPECT_EQ(second.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(second.status().message().find("--port 0"), std::string::npos);
}

TEST(Http, ManyClientsAtOnceAllGetTheirAnswers) {
  Running running;
  std::vector<std::thread> clients;
  std::atomic<int> answers{0}, refused{0};
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&, i] {
      const Json body = {
          {"model", "tiny"}, {"prompt", "p" + std::to_string(i)}, {"max_tokens", 20}};
      const auto result = running.client().Post("/v1/completions", body.dump(), "application/json");
      if (result && result->status == 200) ++answers;
      if (result && result->status == 429) ++refused;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answers + refused, 40);
  EXPECT_GE(answers, 12);
}

TEST(Metrics, HistogramsAreCumulative) {
  ModelMetrics metrics;
  metrics.inter_token.observe(0.0004);
  metrics.inter_token.observe(0.3);
  metrics.inter_token.observe(100);
  const std::string text = metrics.format({});
  for (const char* line :
       {"longshot_inter_token_seconds_bucket{le=\"0.001\"} 1\n", "_seconds_bucket{le=\"0.25\"} 1\n",
        "_seconds_bucket{le=\"0.5\"} 2\n", "_seconds_bucket{le=\"+Inf\"} 3\n",
        "longshot_inter_token_seconds_count 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace longshot::server

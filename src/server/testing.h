#pragma once
// A server without network or model for the tests: the fake runner with a byte tokenizer.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "net/reply.h"
#include "rollout/fake_runner.h"
#include "server/context.h"
#include "tokenizer/testing.h"

namespace longshot::server {

struct TestServer {
  explicit TestServer(int max_running = 4, int max_waiting = 8, int max_sequence = 256)
      : tokenizer(*tokenizer::parse(tokenizer::small_bpe())),
        worker(make_engine(max_running, max_sequence), {.max_waiting = max_waiting}),
        context{.worker = worker,
                .metrics = metrics,
                .tokenizer = *tokenizer,
                .chat_template = chat_template,
                .config = {},
                .models = models,
                .system = "",
                .timeout_seconds = 60} {
    context.config.vocab_size = tokenizer->vocab_size();
  }

  std::unique_ptr<rollout::Engine> make_engine(int max_running, int max_sequence) {
    auto owned = std::make_unique<rollout::FakeRunner>(
        tokenizer->vocab_size(), rollout::RunnerLimits{max_running, max_sequence});
    runner = owned.get();
    return std::make_unique<rollout::Engine>(std::move(owned), tokenizer.get());
  }

  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;  // plain
  ModelMetrics metrics;
  rollout::FakeRunner* runner = nullptr;
  rollout::EngineThread worker;
  ServedModels models{{.name = "tiny", .root = "", .parent = ""}};
  Context context;
};

inline net::Call call_with(const Json& body) {
  return {"POST", "", body.dump(), {}, {}};
}

// Returns the data of all events of a streamed reply.
inline std::vector<std::string> events_of(const net::Reply& reply) {
  std::string all, piece;
  for (bool more = true; more; piece.clear()) {
    more = reply.stream(piece);
    all += piece;
  }
  std::vector<std::string> events;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find("\n\n", at);
    events.push_back(all.substr(at + 6, end - at - 6));  // after "data: "
    at = end + 2;
  }
  return events;
}

inline Json completion_body(Json more = Json::object()) {
  Json body = {{"model", "tiny"}, {"seed", 3}, {"max_tokens", 60}, {"prompt", "abc"}};
  body.update(more);
  return body;
}

inline Json ok(const net::Reply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  return Json::parse(reply.body);
}

inline Json error(const net::Reply& reply, int status) {
  EXPECT_EQ(reply.status, status) << reply.body;
  return Json::parse(reply.body).value("error", Json::object());
}

}  // namespace longshot::server

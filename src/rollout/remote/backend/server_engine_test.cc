#include "rollout/remote/backend/server_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/clock.h"
#include "rollout/remote/backend/fake_vllm.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using testing::HasSubstr;

// What has become of jobs.
struct Seen {
  std::map<uint64_t, data::Sample> samples;
  std::map<uint64_t, std::string> refused;
  Status failure;
};

class Engine {
 public:
  explicit Engine(const std::vector<std::string>& urls, bool verify = true) {
    ServerEngineOptions options;
    for (const std::string& url : urls) options.urls.push_back(*net::parse_url(url, "test"));
    options.silence_seconds = 20;
    options.fetch = [this, verify](const Json&, int64_t version,
                                   const Json&) -> Result<ServedModel> {
      ServedModel model{.folder = "/weights", .version = "1", .vocab_size = kFakeVocab};
      version_ = static_cast<int>(version);
      if (verify) {
        model.score = [this](const auto&, const auto& tokens) -> Result<std::vector<float>> {
          std::vector<float> out;
          for (const data::TokenId token : tokens) out.push_back(fake_logprob(token, version_));
          return out;
        };
      }
      return model;
    };
    engine_ = make_server_engine(std::move(options));
  }

  WorkerEngine& operator*() { return *engine_; }
  WorkerEngine* operator->() { return engine_.get(); }

  // Advances until the engine is idle or has failed.
  Seen finish() {
    Seen seen;
    JobEvents events;
    events.token = [&](uint64_t job, data::TokenId token, float logprob) {
      seen.samples[job].tokens.push_back(token);
      seen.samples[job].logprobs.push_back(logprob);
    };
    events.ended = [&](uint64_t job, FinishReason finish, const std::string&) {
      seen.samples[job].finish = finish;
    };
    events.refused = [&](uint64_t job, const std::string& why) { seen.refused[job] = why; };
    for (const Stopwatch watch; !engine_->idle() && seen.failure.ok() && watch.seconds() < 60;)
      seen.failure = engine_->advance(events);
    return seen;
  }

 private:
  int version_ = 0;
  std::unique_ptr<WorkerEngine> engine_;
};

wire::Job job_of(uint64_t id, std::vector<data::TokenId> prompt, int most, int segment = 0) {
  wire::Job job;
  job.id = id;
  job.sample.prompt_id = "p" + std::to_string(id);
  job.sample.prompt_tokens = std::move(prompt);
  job.max_response_length = most;
  job.segment_tokens = segment;
  return job;
}

EngineOptions plain(std::vector<data::TokenId> stops = {}) {
  EngineOptions options;
  options.sampling.temperature = 1;
  options.sampling.stop_tokens = std::move(stops);
  return options;
}

std::vector<data::TokenId> expected(std::vector<data::TokenId> tokens, size_t count) {
  std::vector<data::TokenId> out;
  while (out.size() < count) {
    out.push_back(fake_next(tokens));
    tokens.push_back(out.back());
  }
  return out;
}

TEST(ServerEngine, SamplesEndByTheRulesOfTheRun) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  const auto all = expected({5, 6}, 20);
  const EngineOptions options = plain({all[9]});
  ASSERT_TRUE(engine->add(job_of(1, {5, 6}, 20), options).ok());
  ASSERT_TRUE(engine->add(job_of(2, {5, 6}, 7), options).ok());
  ASSERT_TRUE(engine->add(job_of(3, {5, 6}, 20, 4), options).ok());
  wire::Job rest = job_of(4, {5, 6}, 20, 3);
  rest.sample.tokens = expected({5, 6}, 4);
  ASSERT_TRUE(engine->add(rest, options).ok());
  Seen seen = engine.finish();
  ASSERT_TRUE(seen.failure.ok()) << seen.failure.message();
  EXPECT_EQ(seen.samples[1].tokens, expected({5, 6}, 10));  // with the stop token
  EXPECT_EQ(seen.samples[1].finish, FinishReason::stop);
  EXPECT_EQ(seen.samples[2].tokens, expected({5, 6}, 7));
  EXPECT_EQ(seen.samples[2].finish, FinishReason::length);
  EXPECT_EQ(seen.samples[3].tokens, expected({5, 6}, 4));
  EXPECT_EQ(seen.samples[3].finish, FinishReason::partial);
  EXPECT_EQ(seen.samples[4].tokens, std::vector<data::TokenId>(all.begin() + 4, all.begin() + 7));
  EXPECT_EQ(seen.samples[4].finish, FinishReason::partial);
  for (size_t i = 0; i < 10; ++i)
    EXPECT_EQ(seen.samples[1].logprobs[i], fake_logprob(seen.samples[1].tokens[i], 1));
}

TEST(ServerEngine, RepetitionsAndStopsOfTheServerAreFoundHere) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  EngineOptions options = plain();
  options.repetition = {.enabled = true, .max_period = 200, .min_repeats = 2, .min_tokens = 4};
  ASSERT_TRUE(engine->add(job_of(1, {1}, 2000), options).ok());
  Seen seen = engine.finish();
  EXPECT_EQ(seen.samples[1].finish, FinishReason::repetition);
  EXPECT_LT(seen.samples[1].tokens.size(), 2000u);
}

TEST(ServerEngine, EachPartOfASampleHasItsOwnSeed) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  const size_t before = server.requests().size();
  for (uint64_t id = 1; id <= 3; ++id) {
    wire::Job job = job_of(id, {5}, 9);
    job.sample.prompt_id = "p";
    job.sample.index = id == 2 ? 1 : 0;
    if (id == 3) job.sample.tokens = {1};
    ASSERT_TRUE(engine->add(job, plain()).ok());
  }
  ASSERT_TRUE(engine.finish().failure.ok());
  std::set<uint64_t> seeds;
  const auto requests = server.requests();
  for (size_t i = before; i < requests.size(); ++i)
    seeds.insert(requests[i].at("seed").get<uint64_t>());
  EXPECT_EQ(seeds.size(), 3u);
  for (const uint64_t seed : seeds) EXPECT_LT(seed, uint64_t{1} << 63);
}

TEST(ServerEngine, ErrorsThatPassAreRepeatedAndRefusalsAreNot) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  server.fail_next({503, 429});
  ASSERT_TRUE(engine->add(job_of(1, {5}, 6), plain()).ok());
  Seen seen = engine.finish();
  ASSERT_TRUE(seen.failure.ok()) << seen.failure.message();
  EXPECT_EQ(seen.samples[1].tokens, expected({5}, 6));
  server.fail_next({400});
  ASSERT_TRUE(engine->add(job_of(2, {5}, 6), plain()).ok());
  seen = engine.finish();
  EXPECT_TRUE(seen.failure.ok());
  EXPECT_THAT(seen.refused[2], HasSubstr("vllm at " + server.url() + ": status 400: as told"));
}

TEST(ServerEngine, AnAnswerThatBreaksOffMakesTheWeightsUnknown) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  server.most_tokens = 3;
  ASSERT_TRUE(engine->add(job_of(1, {5}, 6), plain()).ok());
  Seen seen = engine.finish();
  EXPECT_EQ(seen.failure.code(), StatusCode::unavailable);
  EXPECT_THAT(seen.failure.message(), HasSubstr("broke off after 3 tokens"));
  EXPECT_EQ(seen.samples[1].tokens, expected({5}, 3));  // they count
  engine->drop(1);
  EXPECT_FALSE(engine->add(job_of(2, {5}, 6), plain()).ok());
  server.most_tokens = 100;
  ASSERT_TRUE(engine->load({}, 2, {}).ok());
  ASSERT_TRUE(engine->add(job_of(2, {5}, 6), plain()).ok());
  EXPECT_EQ(engine.finish().samples[2].tokens, expected({5}, 6));
}

TEST(ServerEngine, AServerThatIsGoneIsLeftOutOrMayReturn) {
  FakeVllm a;
  auto b = std::make_unique<FakeVllm>();
  Engine engine({a.url(), b->url()});
  b.reset();
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  for (uint64_t id = 1; id <= 4; ++id) ASSERT_TRUE(engine->add(job_of(id, {5}, 6), plain()).ok());
  EXPECT_EQ(engine.finish().samples.size(), 4u);
  a.stop();
  EXPECT_EQ(engine->load({}, 2, {}).code(), StatusCode::unavailable);
}

TEST(ServerEngine, DroppedJobsSayNothing) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  for (uint64_t id = 1; id <= 8; ++id) ASSERT_TRUE(engine->add(job_of(id, {5}, 500), plain()).ok());
  JobEvents none;
  none.token = [](uint64_t, data::TokenId, float) {};
  none.ended = [](uint64_t, FinishReason, const std::string&) {};
  ASSERT_TRUE(engine->advance(none).ok());
  for (uint64_t id = 1; id <= 8; ++id) engine->drop(id);
  EXPECT_TRUE(engine->idle());
  EXPECT_TRUE(engine.finish().samples.empty());
}

TEST(ServerEngine, WeightsThatDidNotArriveAreAnErrorThatNamesTheServer) {
  FakeVllm server;
  Engine engine({server.url()});
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  server.frozen = true;
  const Status stale = engine->load({}, 2, {});
  EXPECT_EQ(stale.code(), StatusCode::invalid_argument);
  EXPECT_THAT(stale.message(), HasSubstr("vllm at " + server.url()));
  EXPECT_FALSE(engine->add(job_of(1, {5}, 6), plain()).ok());
}

TEST(ServerEngine, GivenTokensAreRefused) {
  FakeVllm server;
  Engine engine({server.url()}, false);
  ASSERT_TRUE(engine->load({}, 1, {}).ok());
  wire::Job job = job_of(1, {5}, 6);
  job.forced = {1, 2};
  EXPECT_THAT(engine->add(job, plain()).message(), HasSubstr("cannot score"));
}

}  // namespace
}  // namespace longshot::rollout

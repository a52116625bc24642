#include "rollout/engine.h"

#include <gtest/gtest.h>

#include "base/os/stop.h"
#include "base/rng.h"
#include "model/format/adapters/adapter.h"
#include "rollout/fake_runner.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::Sample;

constexpr int kVocab = 50;

struct Fixture {
  explicit Fixture(int slots = 8, int max_sequence = 512,
                   const tokenizer::Tokenizer* tokenizer = nullptr) {
    auto owned = std::make_unique<FakeRunner>(kVocab, RunnerLimits{slots, max_sequence});
    runner = owned.get();
    engine = std::make_unique<Engine>(std::move(owned), tokenizer);
  }
  FakeRunner* runner;
  std::unique_ptr<Engine> engine;
};

Sample job(const std::string& prompt, uint32_t index, std::vector<data::TokenId> tokens) {
  Sample s;
  s.prompt_id = prompt;
  s.index = index;
  s.seed = 11;
  s.prompt_tokens = std::move(tokens);
  return s;
}

std::vector<Sample> jobs_of(int prompts, int per_prompt) {
  std::vector<Sample> jobs;
  for (int p = 0; p < prompts; ++p) {
    std::vector<data::TokenId> tokens;
    for (int i = 0; i <= p; ++i) tokens.push_back((p * 7 + i) % kVocab);
    for (int i = 0; i < per_prompt; ++i) jobs.push_back(job("p" + std::to_string(p), i, tokens));
  }
  return jobs;
}

EngineOptions short_options() {
  EngineOptions options;
  options.sampling.max_response_length = 30;
  options.sampling.stop_tokens = {3};
  return options;
}

// The sample that is expected, without an engine: draws from the fake logits of the whole history,
// token by token.
Sample expected_sample(Sample sample, const EngineOptions& options) {
  Sampler sampler;
  std::vector<float> logits(kVocab);
  sample.tokens.clear();
  sample.logprobs.clear();
  while (static_cast<int>(sample.tokens.size()) < options.sampling.max_response_length) {
    std::vector<int32_t> history = sample.prompt_tokens;
    history.insert(history.end(), sample.tokens.begin(), sample.tokens.end());
    FakeRunner::logits_after(history, logits);
    const auto position = static_cast<uint32_t>(sample.tokens.size());
    const Choice c = sampler.pick(
        logits, sampling_uniform(sample.seed, hash64(sample.prompt_id), sample.index, position),
        options.sampling);
    sample.tokens.push_back(c.token);
    sample.logprobs.push_back(c.logprob);
    if (c.token == options.sampling.stop_tokens[0]) break;
  }
  return sample;
}

TEST(Engine, SamplesAreThoseOfTheRulesWhateverTheSlots) {
  const auto jobs = jobs_of(6, 5);
  for (const int slots : {1, 2, 7, 64}) {
    Fixture fixture(slots);
    const auto out = *fixture.engine->generate(jobs, short_options());
    ASSERT_EQ(out.size(), jobs.size());
    for (size_t i = 0; i < jobs.size(); ++i) {
      const Sample expected = expected_sample(jobs[i], short_options());
      EXPECT_EQ(out[i].tokens, expected.tokens) << slots << " slots, job " << i;
      EXPECT_EQ(out[i].logprobs, expected.logprobs);
      EXPECT_EQ(out[i].prompt_id, jobs[i].prompt_id);
      const bool stopped = out[i].tokens.back() == 3;
      EXPECT_EQ(out[i].finish, stopped ? FinishReason::stop : FinishReason::length);
    }
    EXPECT_LE(fixture.runner->largest_batch(), slots);
  }
}

TEST(Engine, PromptOfAGroupIsComputedOnce) {
  const std::vector<data::TokenId> prompt(100, 1);
  std::vector<Sample> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back(job("p", i, prompt));
  for (const int slots : {4, 16}) {
    Fixture fixture(slots);
    const auto out = *fixture.engine->generate(jobs, short_options());
    int64_t fed = 100, generated = 0;  // the prompt, and each response except its last token
    for (const auto& s : out) {
      generated += static_cast<int64_t>(s.tokens.size());
      fed += static_cast<int64_t>(s.tokens.size()) - 1;
    }
    // Each later sample that does not join another one feeds the prompt's last token again.
    const int64_t again = fixture.runner->tokens_fed() - fed;
    EXPECT_GE(again, 0);
    EXPECT_LE(again, std::max(0, 10 - slots));
    EXPECT_EQ(fixture.engine->metrics().at("rollout/prefill_tokens"), 99);
    EXPECT_EQ(fixture.engine->metrics().at("rollout/generated_tokens"), generated);
  }
}

TEST(Engine, ForcedTokensAreScoredAndTheRestIsThatOfTheLongerPrompt) {
  std::vector<data::TokenId> forced;
  for (int i = 0; i < 300; ++i) forced.push_back((i * 5 + 3) % kVocab);
  for (const int slots : {1, 4}) {
    Fixture fixture(slots);
    EngineOptions options = short_options();
    options.sampling.top_logprobs = 2;
    const auto length = [&](const Sample& s) { return s.index == 0 ? 300 : 310; };
    options.length_of = length;
    options.forced_of = [&](const Sample&) { return forced; };
    const std::vector<Sample> jobs = {job("p", 0, {4, 2}), job("p", 1, {4, 2})};
    const auto out = *fixture.engine->generate(jobs, options);
    EXPECT_EQ(out[0].tokens, forced);
    EXPECT_EQ(out[0].finish, FinishReason::length);
    std::vector<int32_t> history = {4, 2};
    std::vector<float> logits(kVocab);
    Sampler sampler;
    for (size_t i = 0; i < forced.size(); ++i) {
      FakeRunner::logits_after(history, logits);
      EXPECT_EQ(out[0].logprobs[i], sampler.score(logits, forced[i], 0).logprob) << i;
      EXPECT_EQ(out[1].logprobs[i], out[0].logprobs[i]);
      history.push_back(forced[i]);
    }
    EngineOptions plain = short_options();
    plain.sampling.max_response_length = 10;
    const Sample rest = expected_sample(job("p", 1, history), plain);
    EXPECT_EQ(std::vector(out[1].tokens.begin() + 300, out[1].tokens.end()), rest.tokens);
    // The prompt, then up to 128 forced tokens in a pass.
    EXPECT_LE(fixture.runner->forwards(), slots == 1 ? 30 : 20);
  }
}

TEST(Engine, RefusesForcedTokensThatDoNotFit) {
  Fixture fixture(2);
  Request request{job("p", 0, {1}), {}, {}};
  request.forced = {1, kVocab};
  EXPECT_FALSE(fixture.engine->add(request).ok());
  request.forced = {1, 2};
  request.sampling.max_response_length = 1;
  EXPECT_FALSE(fixture.engine->add(request).ok());
}

TEST(Engine, BudgetIsSpentExactlyAndFirstJobsGoFirst) {
  Fixture fixture(4);
  EngineOptions options = short_options();
  options.sampling.stop_tokens = {};
  options.token_budget = 38;  // 9 steps of 4, then 2 more tokens
  const auto out = *fixture.engine->generate(jobs_of(1, 6), options);
  std::vector<size_t> lengths;
  for (const auto& s : out) {
    lengths.push_back(s.tokens.size());
    EXPECT_EQ(s.finish, FinishReason::partial);
  }
  EXPECT_EQ(lengths, (std::vector<size_t>{10, 10, 9, 9, 0, 0}));
  EXPECT_TRUE(out[5].segments.empty());
}

TEST(Engine, PartialSamplesGoOnAsIfNeverInterrupted) {
  const auto jobs = jobs_of(3, 4);
  Fixture fixture(5);
  EngineOptions options = short_options();
  options.token_budget = 23;
  auto samples = *fixture.engine->generate(jobs, options);
  for (int round = 1; round < 40; ++round) {
    std::vector<Sample> open;
    for (const auto& s : samples) {
      if (s.finish == FinishReason::partial) open.push_back(s);
    }
    if (open.empty()) break;
    fixture.runner->set_version(round);
    const auto done = *fixture.engine->generate(open, options);
    size_t next = 0;
    for (auto& s : samples) {
      if (s.finish == FinishReason::partial) s = done[next++];
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Sample expected = expected_sample(jobs[i], short_options());
    EXPECT_EQ(samples[i].tokens, expected.tokens);
    EXPECT_EQ(samples[i].logprobs, expected.logprobs);
    int at = 0;
    int64_t version = -1;
    for (const auto& segment : samples[i].segments) {
      EXPECT_EQ(segment.begin, at);
      EXPECT_GT(segment.end, segment.begin);
      EXPECT_GT(segment.version, version);
      at = segment.end;
      version = segment.version;
    }
    EXPECT_EQ(at, static_cast<int>(samples[i].tokens.size()));
  }
  EXPECT_GT(samples.back().segments.size() + samples.front().segments.size(), 2u);
}

TEST(Engine, PartialSamplesKeepTheirCacheUntilTheWeightsChange) {
  for (const bool new_weights : {false, true}) {
    Fixture fixture;
    EngineOptions options = short_options();
    options.sampling.stop_tokens = {};
    options.sampling.max_response_length = 100;
    options.token_budget = 4 * 70;
    const auto partials = *fixture.engine->generate(jobs_of(1, 4), options);
    if (new_weights) fixture.runner->set_version(1);
    options.token_budget = 0;
    (void)*fixture.engine->generate(partials, options);
    // A sample has 71 tokens, of which 70 went through a pass: four full blocks.
    const double fed = fixture.engine->metrics().at("rollout/prefill_tokens");
    const double kept = fixture.engine->metrics().at("rollout/cached_tokens");
    EXPECT_EQ(kept, new_weights ? 0 : 4 * 64);
    EXPECT_EQ(fed + kept, 4 * 70);
  }
}

TEST(Engine, LoopsEndEarly) {
  Fixture fixture;
  fixture.runner->always(5);
  EngineOptions options = short_options();
  options.sampling.max_response_length = 400;
  const auto out = *fixture.engine->generate(jobs_of(1, 1), options);
  EXPECT_EQ(out[0].finish, FinishReason::repetition);
  EXPECT_EQ(out[0].tokens.size(), 128u);
}

TEST(Engine, CallerCanAbortOneSample) {
  Fixture fixture;
  EngineOptions options = short_options();
  options.sampling.stop_tokens = {};
  int seen = 0;
  const auto out = *fixture.engine->generate(jobs_of(1, 3), options, nullptr,
                                             [&](size_t i, data::TokenId, float logprob) {
                                               EXPECT_LE(logprob, 0);
                                               return i != 1 || ++seen < 4;
                                             });
  EXPECT_EQ(out[1].finish, FinishReason::aborted);
  EXPECT_EQ(out[1].tokens.size(), 4u);
  EXPECT_EQ(out[0].finish, FinishReason::length);
}

TEST(Engine, StopRequestLeavesPartialSamples) {
  Fixture fixture(2);
  EngineOptions options = short_options();
  options.sampling.stop_tokens = {};
  const auto out = *fixture.engine->generate(jobs_of(1, 3), options, [](const Progress& p) {
    if (p.generated_tokens == 10) request_stop();
  });
  clear_stop_request();
  EXPECT_EQ(out[0].finish, FinishReason::partial);
  EXPECT_EQ(out[0].tokens.size(), 5u);
  EXPECT_EQ(out[2].tokens.size(), 0u);
  EXPECT_EQ(out[2].finish, FinishReason::partial);
}

TEST(Engine, CancelFlagLeavesPartialSamples) {
  Fixture fixture;
  std::atomic<bool> cancel{true};
  EngineOptions options = short_options();
  options.cancel = &cancel;
  const auto out = *fixture.engine->generate(jobs_of(1, 2), options);
  EXPECT_EQ(out[0].finish, FinishReason::partial);
  EXPECT_EQ(fixture.runner->forwards(), 0);
}

TEST(Engine, StopStringsEndAndCutTheText) {
  const auto tokenizer = *tokenizer::make_character_tokenizer("abcdefghijklmnopqrstuvwxyz");
  Fixture fixture(4, 512, tokenizer.get());
  const auto letter = tokenizer->encode("q")[0];
  fixture.runner->always(letter);
  EngineOptions options = short_options();
  options.sampling.stop_strings = {"qqq"};
  const auto out = *fixture.engine->generate(jobs_of(1, 1), options);
  EXPECT_EQ(out[0].finish, FinishReason::stop);
  EXPECT_EQ(out[0].tokens.size(), 3u);
  EXPECT_EQ(out[0].text, "");
}

TEST(Engine, ContinuedSampleWithAllItsTokensEndsByLength) {
  Fixture fixture;
  Sample full = job("p", 0, {1, 2});
  full.tokens.assign(30, 4);
  full.logprobs.assign(30, -1.0f);
  full.finish = FinishReason::partial;
  const auto out = *fixture.engine->generate({full}, short_options());
  EXPECT_EQ(out[0].finish, FinishReason::length);
  EXPECT_EQ(fixture.runner->forwards(), 0);
}

TEST(Engine, RefusesWhatCannotFitAndNamesTheNumbers) {
  Fixture fixture(2, 64);
  EngineOptions options = short_options();
  const Status status =
      fixture.engine->generate({job("long one", 3, std::vector<data::TokenId>(40, 1))}, options)
          .status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  for (const char* part : {"long one", "40", "30", "70", "64"}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << part << " in " << status.message();
  }
}

TEST(Engine, RefusesUnsoundJobs) {
  Fixture fixture;
  const EngineOptions options = short_options();
  const auto code = [&](Sample s) {
    return fixture.engine->generate({std::move(s)}, options).status().code();
  };
  EXPECT_EQ(code(job("empty", 0, {})), StatusCode::invalid_argument);
  EXPECT_EQ(code(job("outside", 0, {kVocab})), StatusCode::invalid_argument);
  Sample finished = job("finished", 0, {1});
  finished.tokens = {1};
  finished.logprobs = {0};
  finished.finish = FinishReason::stop;
  EXPECT_EQ(code(finished), StatusCode::invalid_argument);
  EngineOptions strings = options;
  strings.sampling.stop_strings = {"x"};
  EXPECT_EQ(fixture.engine->generate({job("p", 0, {1})}, strings).status().code(),
            StatusCode::invalid_argument);
}

// Samples of three adapters with the same two prompts, in so few blocks that some are preempted and
// computed again. The fake runner checks that no block is used with two adapters.
TEST(Engine, SamplesOfAdaptersAreThoseThatEachHasAlone) {
  const auto run = [](int blocks, const std::vector<int>& numbers) {
    auto owned = std::make_unique<FakeRunner>(kVocab, RunnerLimits{4, 128, blocks});
    std::vector<std::shared_ptr<const RunnerAdapter>> adapters = {nullptr};
    for (const double alpha : {2.0, 3.0}) {
      model::Adapter adapter;
      adapter.lora = {.rank = 1, .alpha = alpha};
      adapters.push_back(*owned->prepare_adapter(adapter));
    }
    Engine engine(std::move(owned), nullptr);
    engine.keep_finished(true);
    for (const int i : numbers) {
      Request request;
      request.sample = job("p", 0, std::vector<data::TokenId>(40, i % 2));
      request.sampling.max_response_length = 30;
      request.adapter = adapters[i % 3];
      EXPECT_TRUE(engine.add(std::move(request)).ok());
    }
    while (!engine.idle()) EXPECT_TRUE(engine.step().ok());
    std::map<int64_t, std::vector<data::TokenId>> tokens;  // by id, which is the place in `numbers`
    for (const Finished& finished : engine.take_finished())
      tokens[finished.id] = finished.sample.tokens;
    return tokens;
  };
  const auto together = run(11, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  for (int i = 0; i < 12; ++i) EXPECT_EQ(together.at(i), run(64, {i}).at(0)) << i;
  EXPECT_NE(together.at(0), together.at(2));
}

TEST(Engine, NoJobsIsNoWork) {
  Fixture fixture;
  EXPECT_TRUE(fixture.engine->generate({}, short_options())->empty());
}

}  // namespace
}  // namespace longshot::rollout

#include "rollout/remote/remote_rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/os/clock.h"
#include "base/os/stop.h"
#include "rollout/fake_runner.h"
#include "rollout/remote/local_engine.h"
#include "rollout/remote/remote_worker.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::Sample;

constexpr int kVocab = 50;
const RunnerLimits kLimits{4, 256};

EngineOptions options_of(int response, int segment = 0) {
  EngineOptions options = short_responses(response);
  options.segment_tokens = segment;
  return options;
}

std::unique_ptr<RemoteRollout> coordinator(const std::string& fingerprint = "",
                                           double silence_seconds = 3) {
  RemoteOptions options;
  options.silence_seconds = silence_seconds;
  options.settings = {{"model", "fake"}};
  options.offer = [](const model::WeightsView& weights) {
    return Result<Json>(Json{{"version", weights.version}});
  };
  options.limits = kLimits;
  options.vocab_size = kVocab;
  options.has_tokenizer = false;
  options.fingerprint = fingerprint;
  auto out = RemoteRollout::start(std::move(options));
  EXPECT_TRUE(out.ok()) << out.status().message();
  return std::move(out).value();
}

model::WeightsView weights_of(int64_t version) {
  model::WeightsView view;
  view.version = version;
  return view;
}

bool eventually(const std::function<bool()>& condition) {
  const Deadline end = Deadline::after_seconds(30);
  while (!condition() && !end.expired()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

// A worker in a thread, with an engine of its own.
class Worker {
 public:
  Worker(int port, const std::string& name, const std::string& fingerprint = "", int slots = 4) {
    auto runner = std::make_unique<FakeRunner>(kVocab, kLimits);
    runner_ = runner.get();
    engine_ = std::make_unique<Engine>(std::move(runner), nullptr);
    link_ = *wire::WorkerLink::dial("127.0.0.1:" + std::to_string(port), {});
    options_.who = {{"name", name},
                    {"host", "of " + name},
                    {"protocol", wire::kProtocol},
                    {"slots", slots},
                    {"fingerprint", fingerprint}};
    worker_ = std::make_unique<LocalEngine>(
        [this](const Json& settings, int64_t version, const Json& source) -> Result<Engine*> {
          EXPECT_EQ(settings.at("model"), "fake");
          EXPECT_EQ(source.at("version"), version);
          runner_->set_version(version);
          ++loads_;
          return engine_.get();
        });
    options_.piece_tokens = 5;
    thread_ = std::thread([this] { status_ = serve_rollouts(*link_, *worker_, options_); });
  }
  ~Worker() { (void)end(); }

  int loads() const { return loads_; }
  int releases() const { return runner_->releases(); }

  Status end() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }

 private:
  FakeRunner* runner_ = nullptr;
  std::atomic<int> loads_{0};
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<LocalEngine> worker_;
  std::unique_ptr<wire::WorkerLink> link_;
  RemoteWorkerOptions options_;
  Status status_;
  std::thread thread_;
};

std::vector<Sample> local(std::vector<Sample> jobs, const EngineOptions& options, int64_t version) {
  auto runner = std::make_unique<FakeRunner>(kVocab, kLimits);
  runner->set_version(version);
  Engine engine(std::move(runner), nullptr);
  return *engine.generate(std::move(jobs), options);
}

void expect_equal(const std::vector<Sample>& a, const std::vector<Sample>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(dump_json(data::to_json(a[i])), dump_json(data::to_json(b[i])));
}

// The events up to one of this kind, for which it waits some seconds.
std::vector<RunEvent> events_until(RemoteRollout& rollout, RunEventKind kind) {
  std::vector<RunEvent> all;
  const Deadline limit = Deadline::after_seconds(20);
  while (!limit.expired() && std::ranges::count(all, kind, &RunEvent::kind) == 0) {
    for (RunEvent& event : rollout.take_events()) all.push_back(std::move(event));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return all;
}

TEST(RemoteRollout, SamplesAreThoseOfAnEngineInThisProcess) {
  for (const int workers : {1, 3}) {
    auto rollout = coordinator();
    ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
    std::vector<std::unique_ptr<Worker>> all;
    for (int w = 0; w < workers; ++w)
      all.push_back(std::make_unique<Worker>(rollout->port(), "w" + std::to_string(w)));
    std::vector<Sample> jobs = jobs_of(7, 3);
    // Two rounds of capped samples, with new weights between them, then one to the end.
    for (const int64_t version : {1, 2, 3}) {
      const EngineOptions options = options_of(60, version < 3 ? 9 : 0);
      if (version > 1) {
        ASSERT_TRUE(rollout->load_weights(weights_of(version)).ok());
      }
      const auto expected = local(jobs, options, version);
      const auto seen = rollout->generate(jobs, options, nullptr);
      ASSERT_TRUE(seen.ok()) << seen.status().message();
      expect_equal(*seen, expected);
      jobs.clear();
      for (const Sample& s : expected)
        if (s.finish == FinishReason::partial) jobs.push_back(s);
    }
    rollout->run_has_ended();
    for (auto& worker : all) EXPECT_TRUE(worker->end().ok());
  }
}

TEST(RemoteRollout, ReleasedWorkersLoadWeightsAgainBeforeTheyWork) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  Worker first(rollout->port(), "first");
  ASSERT_TRUE(rollout->generate(jobs_of(2, 2), options_of(20), nullptr).ok());
  rollout->release();
  EXPECT_TRUE(eventually([&] { return first.releases() == 1; }));
  Worker second(rollout->port(), "second");  // joins while the model is trained
  EXPECT_TRUE(eventually([&] { return rollout->status().at("workers").size() == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(second.loads(), 0);
  for (const int64_t version : {1, 2}) {  // the same weights, as after a checkpoint, and new ones
    ASSERT_TRUE(rollout->load_weights(weights_of(version)).ok());
    const auto samples = rollout->generate(jobs_of(5, 3), options_of(40), nullptr);
    ASSERT_TRUE(samples.ok()) << samples.status().message();
    expect_equal(*samples, local(jobs_of(5, 3), options_of(40), version));
  }
  EXPECT_EQ(first.loads(), 3);
  EXPECT_EQ(second.loads(), 2);
  rollout->run_has_ended();
}

TEST(RemoteRollout, SamplesThatEndAreHandedOverOnceEach) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  Worker worker(rollout->port(), "w");
  EngineOptions options = options_of(40);
  std::map<std::pair<std::string, uint32_t>, int> handed;
  options.on_finished = [&](const Sample& s) { ++handed[{s.prompt_id, s.index}]; };
  Progress last;
  const auto samples =
      *rollout->generate(jobs_of(5, 2), options, [&](const Progress& p) { last = p; });
  EXPECT_EQ(handed.size(), 10u);
  for (const auto& [id, times] : handed) EXPECT_EQ(times, 1);
  EXPECT_EQ(last.finished, 10);
  EXPECT_EQ(last.total, 10);
  EXPECT_EQ(rollout->metrics().at("rollout/workers"), 1);
  EXPECT_EQ(rollout->metrics().at("rollout/generated_tokens"),
            static_cast<double>(last.generated_tokens));
  EXPECT_EQ(rollout->metrics().at("rollout/host_tokens/of w"),
            static_cast<double>(last.generated_tokens));
  EXPECT_EQ(rollout->metrics().at("rollout/loads"), 1);
  EXPECT_TRUE(rollout->metrics().contains("rollout/load_seconds_max"));
  rollout->run_has_ended();
}

TEST(RemoteRollout, ASampleWithAllItsTokensEndsWithoutAWorker) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  std::vector<Sample> jobs = local(jobs_of(2, 2), options_of(60, 9), 1);
  for (Sample& s : jobs) s.finish = FinishReason::partial;
  const auto shortest =
      std::ranges::min_element(jobs, {}, [](const Sample& s) { return s.tokens.size(); });
  const EngineOptions options = options_of(static_cast<int>(shortest->tokens.size()));
  std::vector<Sample> ended;
  EngineOptions watched = options;
  watched.on_finished = [&](const Sample& s) { ended.push_back(s); };
  const auto seen = rollout->generate(jobs, watched, nullptr);
  ASSERT_TRUE(seen.ok()) << seen.status().message();
  expect_equal(*seen, local(jobs, options, 1));
  expect_equal(ended, *seen);
}

TEST(RemoteRollout, AWorkerGetsMoreJobsThanOneMessageHolds) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  const Worker worker(rollout->port(), "many", "", 40);
  const auto samples = rollout->generate(jobs_of(20, 2), options_of(30), nullptr);
  ASSERT_TRUE(samples.ok());
  expect_equal(*samples, local(jobs_of(20, 2), options_of(30), 1));
  rollout->run_has_ended();
}

TEST(RemoteRollout, AWorkerThatJoinsLateGetsJobs) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  std::unique_ptr<Worker> worker;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    worker = std::make_unique<Worker>(rollout->port(), "late");
  });
  const auto samples = rollout->generate(jobs_of(2, 2), options_of(20), nullptr);
  later.join();
  ASSERT_TRUE(samples.ok());
  expect_equal(*samples, local(jobs_of(2, 2), options_of(20), 1));
  rollout->run_has_ended();
}

TEST(RemoteRollout, ItsEventsSayWhoCameAndWent) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  const Worker worker(rollout->port(), "w");
  const double before = unix_time();
  ASSERT_TRUE(rollout->generate(jobs_of(1, 2), options_of(20), nullptr).ok());
  rollout->run_has_ended();
  const auto events = events_until(*rollout, RunEventKind::left);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, RunEventKind::joined);
  EXPECT_EQ(events[0].worker, "w");
  EXPECT_EQ(events[0].host, "of w");
  EXPECT_FALSE(events[0].address.empty());
  EXPECT_NEAR(events[0].time, before, 60);
  EXPECT_EQ(events[1].worker, "w");
  EXPECT_FALSE(events[1].cause.empty());
  EXPECT_TRUE(rollout->take_events().empty());
}

TEST(RemoteRollout, ASilentWorkerAndItsReturnAreEvents) {
  auto rollout = coordinator("", 1);
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  std::atomic<bool> cancel{false};
  EngineOptions options = options_of(20);
  options.cancel = &cancel;
  std::thread generates([&] { (void)rollout->generate(jobs_of(1, 2), options, nullptr); });
  const auto link = *wire::WorkerLink::dial("127.0.0.1:" + std::to_string(rollout->port()), {});
  const Json who = {{"name", "quiet"}, {"host", "h"}, {"protocol", wire::kProtocol}, {"slots", 4}};
  link->send(wire::Hello{who});
  link->send(wire::Ready{1});
  const auto events = events_until(*rollout, RunEventKind::silent);
  link->send(wire::Report{});
  const auto later = events_until(*rollout, RunEventKind::back);
  cancel = true;
  generates.join();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].worker, "quiet");
  EXPECT_EQ(events[1].host, "h");
  EXPECT_EQ(events[1].samples, 2);
  EXPECT_EQ(events[1].cause, "it was not heard of for 1 s");
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].samples, 0);
}

TEST(RemoteRollout, AStopReturnsPartialSamples) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  std::atomic<bool> cancel{false};
  EngineOptions options = options_of(20);
  options.cancel = &cancel;
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cancel = true;
  });
  const auto samples = *rollout->generate(jobs_of(1, 2), options, nullptr);  // nobody works
  later.join();
  for (const Sample& s : samples) EXPECT_EQ(s.finish, FinishReason::partial);
}

TEST(RemoteRollout, ABudgetIsRefused) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  EngineOptions options = options_of(20);
  options.token_budget = 5;
  const auto samples = rollout->generate(jobs_of(1, 2), options, nullptr);
  EXPECT_NE(samples.status().message().find("rollout.segment_tokens"), std::string::npos);
}

TEST(RemoteRollout, AJobThatNoEngineCouldExecuteIsAnErrorAtOnce) {
  auto rollout = coordinator();
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  const auto samples = rollout->generate(jobs_of(1, 2), options_of(5000), nullptr);
  EXPECT_EQ(samples.status().code(), StatusCode::invalid_argument);
}

TEST(RemoteRollout, OtherArithmeticIsRefusedWithTheReason) {
  auto rollout = coordinator("abc");
  ASSERT_TRUE(rollout->load_weights(weights_of(1)).ok());
  Worker other(rollout->port(), "other", "abd");
  const Status refused = other.end();
  EXPECT_EQ(refused.code(), StatusCode::invalid_argument);
  EXPECT_NE(refused.message().find("fingerprint 'abd'"), std::string::npos);
  const auto events = events_until(*rollout, RunEventKind::turned_out);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].worker, "other");
  EXPECT_NE(events[0].cause.find("fingerprint 'abd'"), std::string::npos);
  Worker same(rollout->port(), "same", "abc");
  EXPECT_TRUE(rollout->generate(jobs_of(1, 2), options_of(20), nullptr).ok());
  rollout->run_has_ended();
}

}  // namespace
}  // namespace longshot::rollout

#include "rollout/engine_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <limits>
#include <semaphore>

#include "rollout/fake_runner.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::Sample;
using data::TokenId;

constexpr int kVocab = 50;

// Computes a step whenever the test allows one.
class GatedRunner : public FakeRunner {
 public:
  using FakeRunner::FakeRunner;
  void forward(std::span<const SequenceStep> steps, std::span<float> logits) override {
    began.release();
    if (gated) gate.acquire();
    FakeRunner::forward(steps, logits);
    if (broken) std::fill(logits.begin(), logits.end(), std::numeric_limits<float>::quiet_NaN());
  }
  std::counting_semaphore<> began{0}, gate{0};
  std::atomic<bool> gated{false}, broken{false};
};

struct Fixture {
  explicit Fixture(int max_running = 4, int max_waiting = 8, bool gated = false) {
    auto owned = std::make_unique<GatedRunner>(kVocab, RunnerLimits{max_running, 2048});
    runner = owned.get();
    runner->gated = gated;
    worker = std::make_unique<EngineThread>(std::make_unique<Engine>(std::move(owned), nullptr),
                                            EngineThreadOptions{max_waiting});
  }
  void open_gate() {
    runner->gated = false;
    runner->gate.release();
  }
  GatedRunner* runner;
  std::unique_ptr<EngineThread> worker;
};

Request request(uint32_t index, int length = 40) {
  Request r;
  r.sample.prompt_id = "p";
  r.sample.index = index;
  r.sample.seed = 5;
  r.sample.prompt_tokens = {1, 2, 3};
  r.sampling.max_response_length = length;
  r.repetition.enabled = false;
  return r;
}

// A submitted sample and its outcome.
struct Ticket {
  int64_t id = -1;
  std::future<Outcome> outcome;
  std::shared_ptr<std::vector<TokenId>> streamed = std::make_shared<std::vector<TokenId>>();
};

Job job_for(Ticket& ticket, Request request, Deadline deadline = Deadline::never()) {
  auto promise = std::make_shared<std::promise<Outcome>>();
  ticket.outcome = promise->get_future();
  Job job;
  job.request = std::move(request);
  job.deadline = deadline;
  job.on_token = [seen = ticket.streamed](const Choice& c) { seen->push_back(c.token); };
  job.on_finished = [promise](Outcome outcome) { promise->set_value(std::move(outcome)); };
  return job;
}

Ticket submit(EngineThread& worker, Request request, Deadline deadline = Deadline::never()) {
  Ticket ticket;
  std::vector<Job> jobs;
  jobs.push_back(job_for(ticket, std::move(request), deadline));
  ticket.id = (*worker.submit(std::move(jobs))).at(0);
  return ticket;
}

std::vector<Sample> generated_alone(int count, int length) {
  Engine engine(std::make_unique<FakeRunner>(kVocab, RunnerLimits{4, 2048}), nullptr);
  std::vector<Sample> jobs;
  for (int i = 0; i < count; ++i) jobs.push_back(request(i, length).sample);
  EngineOptions options;
  options.sampling.max_response_length = length;
  options.repetition.enabled = false;
  return *engine.generate(std::move(jobs), options);
}

TEST(EngineThread, SamplesAreThoseOfTheEngineAlone) {
  Fixture fixture(3, 20);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 10; ++i) tickets.push_back(submit(*fixture.worker, request(i)));
  const auto expected = generated_alone(10, 40);
  for (int i = 0; i < 10; ++i) {
    const Outcome outcome = tickets[i].outcome.get();
    EXPECT_TRUE(outcome.status.ok());
    EXPECT_EQ(outcome.sample.tokens, expected[i].tokens);
    EXPECT_EQ(outcome.sample.logprobs, expected[i].logprobs);
    EXPECT_EQ(outcome.sample.finish, FinishReason::length);
    EXPECT_EQ(*tickets[i].streamed, expected[i].tokens);
  }
  const EngineThreadStats stats = fixture.worker->stats();
  EXPECT_EQ(stats.finished, 10);
  EXPECT_EQ(stats.generated_tokens, 400);
  EXPECT_EQ(stats.running + stats.waiting, 0);
}

TEST(EngineThread, AbortTakesEffectWithTheStepBeingComputed) {
  Fixture fixture(4, 8, /*gated=*/true);
  Ticket gone = submit(*fixture.worker, request(0, 1000));
  fixture.runner->began.acquire();  // inside the first step
  fixture.worker->abort(gone.id, "client gone");
  fixture.runner->gate.release();  // this step may end, no other may begin
  const Outcome outcome = gone.outcome.get();
  EXPECT_EQ(outcome.status.code(), StatusCode::cancelled);
  EXPECT_EQ(outcome.status.message(), "client gone");
  EXPECT_EQ(outcome.sample.finish, FinishReason::aborted);
  EXPECT_EQ(outcome.sample.tokens.size(), 1u);
  EXPECT_EQ(fixture.runner->forwards(), 1);
  EXPECT_EQ(fixture.worker->stats().aborted, 1);
}

TEST(EngineThread, AbortLeavesTheOthersAlone) {
  Fixture fixture(2, 8, /*gated=*/true);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 4; ++i) tickets.push_back(submit(*fixture.worker, request(i)));
  fixture.runner->began.acquire();
  fixture.worker->abort(tickets[0].id, "running");
  fixture.worker->abort(tickets[3].id, "waiting");
  fixture.open_gate();
  const auto expected = generated_alone(4, 40);
  EXPECT_EQ(tickets[0].outcome.get().status.message(), "running");
  const Outcome waiting = tickets[3].outcome.get();
  EXPECT_EQ(waiting.status.message(), "waiting");
  EXPECT_TRUE(waiting.sample.tokens.empty());
  EXPECT_EQ(tickets[1].outcome.get().sample.tokens, expected[1].tokens);
  EXPECT_EQ(tickets[2].outcome.get().sample.tokens, expected[2].tokens);
  fixture.worker->abort(tickets[1].id, "ended long ago");  // no effect
}

TEST(EngineThread, AbortAllTakesThoseSubmittedBefore) {
  Fixture fixture(2, 8, /*gated=*/true);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tickets.push_back(submit(*fixture.worker, request(i)));
  fixture.runner->began.acquire();
  fixture.worker->abort_all("new policy");
  Ticket after = submit(*fixture.worker, request(7));
  fixture.open_gate();
  for (auto& ticket : tickets) EXPECT_EQ(ticket.outcome.get().status.message(), "new policy");
  EXPECT_TRUE(after.outcome.get().status.ok());
}

TEST(EngineThread, NothingIsComputedWhilePausedAndSamplesGoOnAfter) {
  Fixture fixture;
  Ticket ticket = submit(*fixture.worker, request(0, 1500));
  fixture.runner->began.acquire();
  fixture.worker->pause();
  const int64_t at_pause = fixture.runner->forwards();
  EXPECT_LT(at_pause, 1500);
  EXPECT_TRUE(fixture.worker->stats().paused);
  Ticket later = submit(*fixture.worker, request(1));
  EXPECT_EQ(later.outcome.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_EQ(fixture.runner->forwards(), at_pause);
  fixture.worker->resume();
  EXPECT_EQ(ticket.outcome.get().sample.tokens, generated_alone(1, 1500)[0].tokens);
  EXPECT_EQ(later.outcome.get().sample.tokens, generated_alone(2, 40)[1].tokens);
}

TEST(EngineThread, PauseCanAbortWhatIsInFlight) {
  Fixture fixture;
  Ticket ticket = submit(*fixture.worker, request(0, 1500));
  fixture.runner->began.acquire();
  fixture.worker->pause(PauseMode::abort);
  ASSERT_EQ(ticket.outcome.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(ticket.outcome.get().status.code(), StatusCode::cancelled);
}

TEST(EngineThread, AFullQueueTakesAllOfARequestOrNothing) {
  Fixture fixture(2, 3, /*gated=*/true);
  std::vector<Ticket> tickets(3);
  for (auto& ticket : tickets) ticket = submit(*fixture.worker, request(0));
  std::vector<Ticket> three(3);
  std::vector<Job> jobs;
  for (auto& ticket : three) jobs.push_back(job_for(ticket, request(1)));
  const auto refused = fixture.worker->submit(std::move(jobs));
  EXPECT_EQ(refused.status().code(), StatusCode::exhausted);
  EXPECT_NE(refused.status().message().find("limit of 5"), std::string::npos);
  tickets.push_back(submit(*fixture.worker, request(2)));
  tickets.push_back(submit(*fixture.worker, request(3)));
  fixture.open_gate();
  for (auto& ticket : tickets) EXPECT_TRUE(ticket.outcome.get().status.ok());
  EXPECT_TRUE(submit(*fixture.worker, request(4)).outcome.get().status.ok());
}

TEST(EngineThread, UnsoundRequestsAreRefusedAtOnce) {
  Fixture fixture;
  Ticket ticket;
  std::vector<Job> jobs;
  jobs.push_back(job_for(ticket, request(0, 5000)));
  EXPECT_EQ(fixture.worker->submit(std::move(jobs)).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(fixture.worker->stats().waiting, 0);
}

TEST(EngineThread, ADeadlineEndsASampleWithWhatItHas) {
  Fixture fixture(1, 8, /*gated=*/true);
  Ticket running = submit(*fixture.worker, request(0, 1000), Deadline::after_seconds(0.05));
  Ticket waiting = submit(*fixture.worker, request(1, 1000), Deadline::after_seconds(0.05));
  fixture.runner->began.acquire();
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  fixture.runner->gate.release();
  const Outcome outcome = running.outcome.get();
  EXPECT_EQ(outcome.status.code(), StatusCode::timeout);
  EXPECT_EQ(outcome.sample.finish, FinishReason::aborted);
  EXPECT_EQ(outcome.sample.tokens.size(), 1u);
  EXPECT_EQ(waiting.outcome.get().status.code(), StatusCode::timeout);
}

TEST(EngineThread, DeadlinesHoldWhilePaused) {
  Fixture fixture;
  fixture.worker->pause();
  Ticket ticket = submit(*fixture.worker, request(0), Deadline::after_seconds(0.03));
  EXPECT_EQ(ticket.outcome.get().status.code(), StatusCode::timeout);
  EXPECT_EQ(fixture.runner->forwards(), 0);
}

TEST(EngineThread, SamplesInFlightGoOnUnderNewWeights) {
  Fixture fixture(4, 8, /*gated=*/true);
  Ticket ticket = submit(*fixture.worker, request(0));
  fixture.runner->began.acquire();
  std::thread gatekeeper([&] {
    fixture.runner->gate.release();
    fixture.runner->began.acquire();
    fixture.open_gate();
  });
  const Status status = fixture.worker->update_weights([](Runner& runner) {
    model::WeightsView view;
    view.config.vocab_size = kVocab;
    view.version = 9;
    return runner.load_weights(view);
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(fixture.worker->stats().version, 9);
  gatekeeper.join();
  const Sample sample = ticket.outcome.get().sample;
  ASSERT_EQ(sample.segments.size(), 2u);
  EXPECT_EQ(sample.segments[0].version, 0);
  EXPECT_EQ(sample.segments[1].version, 9);
  EXPECT_EQ(sample.segments[1].end, 40);
  // The fake logits depend only on the tokens: recomputed under the new weights, they are the same.
  EXPECT_EQ(sample.tokens, generated_alone(1, 40)[0].tokens);
}

TEST(EngineThread, AFailedUpdateChangesNothing) {
  Fixture fixture;
  const Status status =
      fixture.worker->update_weights([](Runner&) { return not_found("no such file"); });
  EXPECT_EQ(status.message(), "no such file");
  EXPECT_TRUE(submit(*fixture.worker, request(0)).outcome.get().status.ok());
}

TEST(EngineThread, BrokenLogitsEndEverySampleWithTheReason) {
  Fixture fixture;
  fixture.runner->broken = true;
  Ticket ticket = submit(*fixture.worker, request(0));
  const Outcome outcome = ticket.outcome.get();
  EXPECT_EQ(outcome.status.code(), StatusCode::internal);
  EXPECT_NE(outcome.status.message().find("not finite"), std::string::npos);
  fixture.runner->broken = false;
  EXPECT_TRUE(submit(*fixture.worker, request(1)).outcome.get().status.ok());
}

TEST(EngineThread, DestructionEndsWhatIsLeft) {
  Fixture fixture(2, 8);
  fixture.worker->pause();
  Ticket ticket = submit(*fixture.worker, request(0));
  fixture.worker.reset();
  EXPECT_EQ(ticket.outcome.get().status.code(), StatusCode::cancelled);
}

}  // namespace
}  // namespace longshot::rollout

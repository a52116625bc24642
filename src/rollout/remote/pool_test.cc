#include "rollout/remote/pool.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/rng.h"
#include "rollout/remote/simulation.h"

namespace longshot::rollout {
namespace {

wire::Piece piece_of(const wire::Job& job, int count, int64_t version, bool finished) {
  SimulatedModel model;
  wire::Piece piece;
  piece.job = job.id;
  piece.begin = static_cast<int>(job.sample.tokens.size());
  piece.version = version;
  for (int i = 0; i < count; ++i) {
    const auto [token, logprob] = model.next(job.sample, piece.begin + i);
    piece.tokens.push_back(token);
    piece.logprobs.push_back(logprob);
  }
  piece.finished = finished;
  piece.finish = data::FinishReason::stop;
  return piece;
}

std::map<WorkerId, std::vector<wire::Job>> jobs_of(const std::vector<Order>& orders) {
  std::map<WorkerId, std::vector<wire::Job>> out;
  for (const Order& order : orders) out[order.worker] = order.jobs;
  return out;
}

TEST(Pool, GroupsStayTogetherAndWorkersGetEqualShares) {
  Pool pool;
  for (const WorkerId w : {1, 2}) {
    pool.join(w, 100, 0);
    pool.set_version(w, 5, 0);
  }
  pool.begin(simulated_jobs(6, 4), 5, 0);
  const auto orders = jobs_of(pool.orders(0));
  for (const WorkerId w : {1, 2}) {
    ASSERT_EQ(orders.at(w).size(), 12u);
    std::map<std::string, int> groups;
    for (const wire::Job& job : orders.at(w)) ++groups[job.sample.prompt_id];
    for (const auto& [id, count] : groups) EXPECT_EQ(count, 4) << id;
  }
  EXPECT_TRUE(pool.orders(0).empty());
}

TEST(Pool, OnlyWorkersWithTheVersionOfTheRoundGetJobs) {
  Pool pool;
  pool.join(1, 100, 0);
  pool.join(2, 100, 0);
  pool.set_version(1, 4, 0);
  pool.begin(simulated_jobs(1, 4), 5, 0);
  EXPECT_TRUE(pool.orders(0).empty());
  EXPECT_EQ(pool.ready_workers(), 0);
  pool.set_version(2, 5, 0);
  EXPECT_EQ(jobs_of(pool.orders(1)).at(2).size(), 4u);
}

// Two workers have had a version at the same moment, and worker 1 has the next one at second 10.
Pool with_one_ready(double second_had_the_first_version) {
  Pool pool;
  for (const WorkerId w : {1, 2}) pool.join(w, 100, 0);
  pool.set_version(1, 4, 0);
  pool.set_version(2, 4, second_had_the_first_version);
  pool.set_version(1, 5, 10);
  pool.heard(2, 10);
  pool.begin(simulated_jobs(4, 4), 5, 10);
  return pool;
}

TEST(Pool, TheShareOfAWorkerThatIsReadyAMomentLaterWaitsForIt) {
  Pool pool = with_one_ready(0.1);
  EXPECT_EQ(jobs_of(pool.orders(10)).at(1).size(), 8u);
  EXPECT_EQ(pool.waiting(), 8);
  pool.set_version(2, 5, 10.3);
  const auto orders = pool.orders(10.3);
  ASSERT_EQ(orders.size(), 1u);  // nothing is dropped
  EXPECT_EQ(orders[0].worker, 2u);
  EXPECT_EQ(orders[0].jobs.size(), 8u);
}

TEST(Pool, AShareThatWaitsDoesNotDivideAGroup) {
  Pool pool;
  for (const WorkerId w : {1, 2, 3}) {
    pool.join(w, 100, 0);
    pool.set_version(w, 4, 0);
  }
  pool.set_version(1, 5, 0.1);
  pool.set_version(2, 5, 0.1);
  pool.begin(simulated_jobs(8, 3), 5, 0.1);
  for (const auto& [worker, jobs] : jobs_of(pool.orders(0.1))) {
    EXPECT_EQ(jobs.size(), 9u) << worker;  // a share of 8, and the rest of its last group
    std::map<std::string, int> groups;
    for (const wire::Job& job : jobs) ++groups[job.sample.prompt_id];
    for (const auto& [id, count] : groups) EXPECT_EQ(count, 3) << id;
  }
  EXPECT_EQ(pool.waiting(), 6);
}

TEST(Pool, AWorkerThatIsReadyMuchLaterIsNotWaitedFor) {
  Pool pool = with_one_ready(0.1);
  EXPECT_EQ(jobs_of(pool.orders(10)).at(1).size(), 8u);
  EXPECT_EQ(jobs_of(pool.orders(10.6)).at(1).size(), 8u);
  Pool other = with_one_ready(0.6);  // it was late the last time
  EXPECT_EQ(jobs_of(other.orders(10)).at(1).size(), 16u);
}

TEST(Pool, NoWorkerGetsMoreThanItsSlots) {
  Pool pool;
  pool.join(1, 3, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(2, 4), 1, 0);
  const auto first = pool.orders(0)[0].jobs;
  ASSERT_EQ(first.size(), 3u);
  ASSERT_TRUE(*pool.receive(1, piece_of(first[0], 2, 1, true), 1));
  EXPECT_EQ(pool.orders(1)[0].jobs.size(), 1u);
}

TEST(Pool, AWorkerWhoseTokensDifferFromThoseThatArrivedIsDropped) {
  Pool pool({.silence_seconds = 1});
  pool.join(1, 10, 0);
  pool.join(2, 10, 0, data::EngineKind::vllm);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job first = pool.orders(0)[0].jobs[0];
  pool.set_version(2, 1, 2);
  const wire::Job second = jobs_of(pool.orders(2)).at(2)[0];  // worker 1 is silent
  ASSERT_TRUE(pool.receive(1, piece_of(first, 3, 1, false), 2).ok());
  wire::Piece other = piece_of(second, 6, 1, true);
  ++other.tokens[1];
  ASSERT_TRUE(pool.receive(2, other, 2).ok());  // its sample is another one
  EXPECT_FALSE(pool.round_is_done());
  EXPECT_EQ(pool.sample(0).tokens.size(), 3u);
  EXPECT_EQ(pool.metrics().at("rollout/differing_tokens"), 1);
  // Its later pieces are not expected any more.
  ASSERT_TRUE(pool.receive(2, piece_of(second, 6, 1, true), 2).ok());
  EXPECT_FALSE(pool.round_is_done());
  wire::Piece rest = piece_of(first, 6, 1, true);
  rest.begin = 3;
  rest.tokens.erase(rest.tokens.begin(), rest.tokens.begin() + 3);
  rest.logprobs.erase(rest.logprobs.begin(), rest.logprobs.begin() + 3);
  ASSERT_TRUE(*pool.receive(1, rest, 2));
  EXPECT_TRUE(pool.round_is_done());
  EXPECT_EQ(pool.sample(0).tokens, piece_of(first, 6, 1, true).tokens);
  ASSERT_EQ(pool.sample(0).segments.size(), 1u);
}

TEST(Pool, SegmentsNameTheEngineThatGeneratedThem) {
  Pool pool;
  pool.join(1, 10, 0, data::EngineKind::vllm);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job first = pool.orders(0)[0].jobs[0];
  ASSERT_TRUE(pool.receive(1, piece_of(first, 3, 1, false), 0).ok());
  pool.leave(1);
  pool.join(2, 10, 0);
  pool.set_version(2, 1, 0);
  const wire::Job rest = jobs_of(pool.orders(0)).at(2)[0];
  ASSERT_TRUE(*pool.receive(2, piece_of(rest, 2, 1, true), 0));
  const auto& segments = pool.sample(0).segments;
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].engine, data::EngineKind::vllm);
  EXPECT_EQ(segments[0].end, 3);
  EXPECT_EQ(segments[1].engine, data::EngineKind::longshot);
  EXPECT_EQ(segments[1].end, 5);
}

TEST(Pool, TheSamplesOfALostWorkerContinueAfterWhatHasArrived) {
  Pool pool;
  pool.join(1, 10, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job job = pool.orders(0)[0].jobs[0];
  ASSERT_FALSE(*pool.receive(1, piece_of(job, 7, 1, false), 1));
  EXPECT_EQ(pool.jobs_of(1), 1);
  pool.leave(1);
  EXPECT_EQ(pool.jobs_of(1), 0);
  pool.join(2, 10, 2);
  pool.set_version(2, 1, 2);
  const wire::Job rest = pool.orders(2)[0].jobs[0];
  EXPECT_EQ(rest.sample.tokens.size(), 7u);
  EXPECT_EQ(rest.sample.logprobs.size(), 7u);
  ASSERT_EQ(rest.sample.segments.size(), 1u);
  EXPECT_EQ(rest.sample.segments[0].end, 7);
  EXPECT_NE(rest.id, job.id);
  ASSERT_TRUE(*pool.receive(2, piece_of(rest, 3, 1, true), 3));
  ASSERT_TRUE(pool.round_is_done());
  EXPECT_EQ(pool.metrics().at("rollout/reissued"), 1);
  EXPECT_EQ(pool.new_tokens(), 10);
  const data::Sample sample = pool.end()[0];
  ASSERT_EQ(sample.segments.size(), 1u);
  EXPECT_EQ(sample.segments[0].end, 10);
  EXPECT_EQ(sample.finish, data::FinishReason::stop);
}

TEST(Pool, ASilentWorkersJobsGoToOthersAndTheFirstResultCounts) {
  Pool pool({.silence_seconds = 3});
  pool.join(1, 10, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job job = pool.orders(0)[0].jobs[0];
  pool.join(2, 10, 0);
  pool.set_version(2, 1, 2.9);
  EXPECT_TRUE(pool.orders(2.9).empty());
  EXPECT_TRUE(pool.take_silent().empty());
  const wire::Job again = pool.orders(3.1)[0].jobs[0];
  EXPECT_EQ(pool.take_silent(), std::vector<WorkerId>{1});
  EXPECT_TRUE(pool.take_silent().empty());
  EXPECT_TRUE(pool.is_silent(1) && !pool.is_silent(2));
  ASSERT_TRUE(*pool.receive(2, piece_of(again, 4, 1, true), 3.5));
  // The silent one wakes up: its piece is not waited for, and it is told to drop the job.
  EXPECT_FALSE(*pool.receive(1, piece_of(job, 4, 1, true), 4));
  const auto orders = pool.orders(4);
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].worker, 1u);
  EXPECT_EQ(orders[0].drop, std::vector<uint64_t>{job.id});
}

TEST(Pool, RepeatedTokensAreCompared) {
  Pool pool({.silence_seconds = 1});
  pool.join(1, 10, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job job = pool.orders(0)[0].jobs[0];
  pool.join(2, 10, 1.5);
  pool.set_version(2, 1, 1.5);
  const wire::Job again = pool.orders(1.5)[0].jobs[0];
  ASSERT_TRUE(pool.receive(1, piece_of(job, 5, 1, false), 1.6).ok());
  wire::Piece other = piece_of(again, 5, 1, false);
  other.logprobs[3] = std::nextafter(other.logprobs[3], 0.0f);
  ASSERT_TRUE(pool.receive(2, other, 1.7).ok());
  EXPECT_EQ(pool.metrics().at("rollout/repeated_tokens"), 5);
  EXPECT_EQ(pool.metrics().at("rollout/differing_tokens"), 1);
  EXPECT_EQ(pool.sample(0).tokens.size(), 5u);
}

TEST(Pool, AWorkerThatIsReadyLaterGetsItsShareAtOnce) {
  Pool pool;
  pool.join(1, 100, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(3, 4), 1, 0);
  EXPECT_EQ(pool.orders(0)[0].jobs.size(), 12u);
  pool.join(2, 100, 0.1);
  pool.set_version(2, 1, 0.1);
  const auto second = pool.orders(0.1);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].drop.size(), 6u);
  EXPECT_EQ(second[1].jobs.size(), 6u);
  pool.join(3, 3, 0.2);  // has slots for three
  pool.set_version(3, 1, 0.2);
  const auto third = pool.orders(0.2);
  ASSERT_EQ(third.size(), 3u);
  EXPECT_EQ(third[0].drop.size() + third[1].drop.size(), 3u);
  EXPECT_EQ(third[2].jobs.size(), 3u);
  EXPECT_TRUE(pool.orders(0.3).empty());
}

// A group goes to one worker first, and half of it moves to the other one before anything is sent.
TEST(Pool, AGroupIsSharedByIdleWorkersWithoutDrops) {
  Pool pool;
  for (const WorkerId w : {1, 2}) {
    pool.join(w, 100, 0);
    pool.set_version(w, 1, 0);
  }
  pool.begin(simulated_jobs(1, 8), 1, 0);
  const auto orders = pool.orders(0);
  ASSERT_EQ(orders.size(), 2u);
  for (const Order& order : orders) {
    EXPECT_EQ(order.jobs.size(), 4u);
    EXPECT_TRUE(order.drop.empty());
  }
}

TEST(Pool, AWorkerThatHasDoneItsJobsTakesOverThoseThatHaveRunForAWhile) {
  Pool pool;
  for (const WorkerId w : {1, 2}) {
    pool.join(w, 100, 0);
    pool.set_version(w, 1, 0);
  }
  pool.begin(simulated_jobs(4, 1), 1, 0);
  const auto given = pool.orders(0);
  ASSERT_EQ(given[1].jobs.size(), 2u);
  for (const wire::Job& job : given[1].jobs)
    EXPECT_TRUE(pool.receive(2, piece_of(job, 2, 1, true), 0.5)->has_value());
  EXPECT_TRUE(pool.orders(0.5).empty());  // the others have just begun
  const auto orders = pool.orders(1.5);
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].drop.size(), 1u);
  EXPECT_EQ(orders[1].jobs.size(), 1u);
}

// Each of two workers had two jobs. Worker 1 has generated `have` of at most 100 tokens of each,
// and those of worker 2 ended with that length. The round before had 20 samples of 80 tokens.
size_t moved_after(int have, int prompt) {
  Pool pool;
  pool.join(1, 100, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(20, 1), 1, 0);
  const auto before = pool.orders(0);
  for (const wire::Job& job : before.at(0).jobs)
    EXPECT_TRUE(pool.receive(1, piece_of(job, 80, 1, true), 0)->has_value());
  pool.end();
  pool.join(2, 100, 0);
  pool.set_version(2, 1, 0);
  std::vector<wire::Job> jobs = simulated_jobs(4, 1);
  for (wire::Job& job : jobs) job.sample.prompt_tokens.resize(static_cast<size_t>(prompt));
  pool.begin(jobs, 1, 0);
  for (const Order& order : pool.orders(0))
    for (const wire::Job& job : order.jobs)
      EXPECT_TRUE(pool.receive(order.worker, piece_of(job, have, 1, order.worker == 2), 2).ok());
  size_t moved = 0;
  for (const Order& order : pool.orders(2)) moved += order.drop.size();
  return moved;
}

// The typical length is (20 * 80 + 2 * have) / 22 tokens.
TEST(Pool, AJobMovesIfTheReceiverWouldHaveDoneItEarlier) {
  EXPECT_EQ(moved_after(5, 10), 1u);   // 68 are left: 5 + 10 + 68 < 2 * 68
  EXPECT_EQ(moved_after(30, 10), 1u);  // 30 + 10 + 45 < 2 * 45
  EXPECT_EQ(moved_after(50, 10), 0u);  // past half, as many as before: 50 + 10 + 50 > 2 * 50
  EXPECT_EQ(moved_after(5, 100), 0u);  // 5 + 100 + 68 > 2 * 68
}

TEST(Pool, PiecesOutOfOrderAreABreachOfTheProtocol) {
  Pool pool;
  pool.join(1, 10, 0);
  pool.set_version(1, 1, 0);
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const wire::Job job = pool.orders(0)[0].jobs[0];
  wire::Piece late = piece_of(job, 2, 1, false);
  late.begin = 1;
  EXPECT_EQ(pool.receive(1, late, 0).status().code(), StatusCode::corrupt);
  EXPECT_EQ(pool.receive(1, piece_of(job, 2, 2, false), 0).status().code(), StatusCode::corrupt);
}

TEST(Pool, AJobThatTwoWorkersRefuseIsAnError) {
  Pool pool;
  for (const WorkerId w : {1, 2}) {
    pool.join(w, 10, 0);
    pool.set_version(w, 1, 0);
  }
  pool.begin(simulated_jobs(1, 1), 1, 0);
  const auto first = pool.orders(0);
  EXPECT_TRUE(pool.refuse(first[0].worker, {first[0].jobs[0].id, "too long"}).ok());
  pool.leave(first[0].worker);
  const auto second = pool.orders(0);
  EXPECT_EQ(pool.refuse(second[0].worker, {second[0].jobs[0].id, "too long"}).message(),
            "too long");
}

// Random courses: workers of different speeds join, leave, stall, and come back. The samples are
// always those of the model, each token counted once.
TEST(Pool, AnyCourseGivesTheSameSamples) {
  int64_t reissued = 0, repeated = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Simulation simulation(seed);
    const SimulationResult result = simulation.run();
    ASSERT_TRUE(result.finished) << "seed " << seed;
    ASSERT_EQ(result.wrong, 0) << "seed " << seed;
    ASSERT_EQ(result.differing, 0) << "seed " << seed;
    reissued += result.reissued;
    repeated += result.repeated;
  }
  printf("1000 courses: %ld jobs reissued, %ld tokens received more than once\n",
         static_cast<long>(reissued), static_cast<long>(repeated));
  EXPECT_GT(reissued, 1000);
  EXPECT_GT(repeated, 100);
}

}  // namespace
}  // namespace longshot::rollout

#include "cluster/election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/memory_directory.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::HasSubstr;

Deadline at_once() {
  return Deadline::after_seconds(0.05);
}

class ElectionTest : public testing::Test {
 protected:
  ElectionTest() : memory_(clock_.now()), network_a_(memory_), network_b_(memory_) {}

  Election candidate(Directory& directory, const std::string& name) {
    return Election(directory, "coordinator", name, {.ttl_seconds = 3, .now = clock_.now()});
  }

  ManualClock clock_;
  MemoryDirectory memory_;
  CutDirectory network_a_, network_b_;
};

TEST_F(ElectionTest, OneLeadsAndTheOtherWaits) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  EXPECT_FALSE(a.still_leader());
  EXPECT_EQ(a.campaign(soon()).value(), 1);
  EXPECT_TRUE(a.still_leader());
  const auto waited = b.campaign(at_once());
  EXPECT_EQ(waited.status().code(), StatusCode::timeout);
  EXPECT_THAT(waited.status().message(), HasSubstr(R"("candidate":"a")"));
  EXPECT_FALSE(b.still_leader());
  EXPECT_EQ(a.campaign(soon()).value(), 1);
}

TEST_F(ElectionTest, TheEpochGrowsByOneAtEachWin) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  for (int64_t epoch = 1; epoch < 6; epoch += 2) {
    EXPECT_EQ(a.campaign(soon()).value(), epoch);
    a.resign(soon());
    EXPECT_FALSE(a.still_leader());
    EXPECT_EQ(b.campaign(soon()).value(), epoch + 1);
    b.resign(soon());
  }
  EXPECT_EQ(a.epoch(), 5);
}

TEST_F(ElectionTest, AWaitingCandidateWinsWhenTheLeaderResigns) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  EXPECT_TRUE(a.campaign(soon()).ok());
  std::thread waiting([&] { EXPECT_EQ(b.campaign(soon()).value(), 2); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  a.resign(soon());
  waiting.join();
  EXPECT_TRUE(b.still_leader());
}

TEST_F(ElectionTest, AnIsolatedLeaderStepsDownBeforeAnotherCanWin) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  EXPECT_TRUE(a.campaign(soon()).ok());
  network_a_.cut(true);
  clock_.advance(2.9);
  EXPECT_TRUE(a.still_leader());
  EXPECT_FALSE(b.campaign(at_once()).ok());
  clock_.advance(0.1);
  EXPECT_FALSE(a.still_leader());
  EXPECT_EQ(b.campaign(soon()).value(), 2);
  network_a_.cut(false);
  EXPECT_FALSE(a.campaign(at_once()).ok());
  EXPECT_FALSE(a.still_leader());
}

TEST_F(ElectionTest, CommitsOfAnOldLeaderAreRefused) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  EXPECT_TRUE(a.campaign(soon()).ok());
  const Condition old = a.condition();
  const auto commit = [&](const Condition& leads, const std::string& value) {
    const int64_t current = memory_.get("current", soon())->revision;
    return memory_.commit({leads, {"current", current}}, {{"current", value}}, soon())->applied;
  };
  EXPECT_TRUE(commit(old, "1"));
  network_a_.cut(true);
  clock_.advance(3);
  EXPECT_FALSE(commit(old, "2"));  // already before another one leads
  EXPECT_TRUE(b.campaign(soon()).ok());
  EXPECT_FALSE(commit(old, "2"));
  EXPECT_TRUE(commit(b.condition(), "3"));
}

TEST_F(ElectionTest, RenewsItsLease) {
  Election a = candidate(network_a_, "a"), b = candidate(network_b_, "b");
  EXPECT_TRUE(a.campaign(soon()).ok());
  for (int i = 0; i < 20; ++i) {
    clock_.advance(0.5);
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  EXPECT_TRUE(a.still_leader());
  EXPECT_FALSE(b.campaign(at_once()).ok());
}

TEST_F(ElectionTest, AWinIsFoundAlthoughItsAnswerWasLost) {
  Election a = candidate(network_a_, "a");
  network_a_.lose_next_answer();
  EXPECT_EQ(a.campaign(soon()).value(), 1);
  EXPECT_TRUE(a.still_leader());
  EXPECT_EQ(a.condition().revision, memory_.get("coordinator/leader", soon())->revision);
}

TEST_F(ElectionTest, ALeaderWhoseLeaseIsRevokedNoticesAndWinsAgain) {
  Election a = candidate(network_a_, "a");
  EXPECT_TRUE(a.campaign(soon()).ok());
  const Entry leader = memory_.get("coordinator/leader", soon()).value();
  EXPECT_TRUE(memory_.revoke(leader.lease, soon()).ok());
  clock_.advance(1);
  EXPECT_TRUE(eventually([&] { return !a.still_leader(); }));
  EXPECT_EQ(a.campaign(soon()).value(), 2);
  EXPECT_TRUE(a.still_leader());
}

// The directory itself was away, so that it did not remove the lease.
TEST_F(ElectionTest, KeepsItsEpochIfNobodyElseCanHaveLed) {
  ManualClock other;
  MemoryDirectory slow(other.now());
  CutDirectory network(slow);
  Election a = candidate(network, "a");
  EXPECT_TRUE(a.campaign(soon()).ok());
  network.cut(true);
  clock_.advance(60);
  EXPECT_FALSE(a.still_leader());
  EXPECT_EQ(a.campaign(at_once()).status().code(), StatusCode::unavailable);
  network.cut(false);
  EXPECT_FALSE(a.still_leader());
  EXPECT_EQ(a.campaign(soon()).value(), 1);
  EXPECT_TRUE(a.still_leader());
}

TEST_F(ElectionTest, ManyCandidatesNeverLeadTogether) {
  std::atomic<int> leaders = 0, wins = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] {
      Election election = candidate(memory_, std::to_string(i));
      for (int round = 0; round < 4; ++round) {
        EXPECT_TRUE(election.campaign(Deadline::after_seconds(20)).ok());
        EXPECT_EQ(++leaders, 1);
        ++wins;
        --leaders;
        election.resign(soon());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Election last = candidate(memory_, "last");
  EXPECT_EQ(last.campaign(soon()).value(), wins + 1);
}

}  // namespace
}  // namespace longshot::cluster

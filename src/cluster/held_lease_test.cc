#include "cluster/held_lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/memory_directory.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

class HeldLeaseTest : public testing::Test {
 protected:
  HeldLeaseTest()
      : memory_(directory_clock_.now()), network_(memory_), lease_(network_, 3, clock_.now()) {}

  void put_key() { EXPECT_TRUE(memory_.put("key", "", lease_.id(), soon()).ok()); }

  ManualClock clock_, directory_clock_;
  MemoryDirectory memory_;
  CutDirectory network_;
  HeldLease lease_;
};

TEST_F(HeldLeaseTest, IsValidForItsTimeAfterEachRenewal) {
  EXPECT_FALSE(lease_.valid());
  EXPECT_TRUE(lease_.begin(soon()).ok());
  put_key();
  clock_.advance(2.9);
  EXPECT_TRUE(lease_.valid());
  EXPECT_EQ(lease_.renew("key", soon())->lease, lease_.id());
  clock_.advance(2.9);
  EXPECT_TRUE(lease_.valid());
  network_.cut(true);
  EXPECT_EQ(lease_.renew("key", soon()).status().code(), StatusCode::unavailable);
  clock_.advance(0.1);
  EXPECT_FALSE(lease_.valid());
}

// The directory keeps the lease alive, but does not confirm that the key is under it.
TEST_F(HeldLeaseTest, ARenewalCountsOnlyIfTheKeyIsThere) {
  EXPECT_TRUE(lease_.begin(soon()).ok());
  clock_.advance(2);
  EXPECT_EQ(lease_.renew("key", soon())->revision, 0);
  clock_.advance(1);
  EXPECT_FALSE(lease_.valid());
}

TEST_F(HeldLeaseTest, EndRemovesTheKey) {
  EXPECT_TRUE(lease_.begin(soon()).ok());
  put_key();
  lease_.end(soon());
  EXPECT_FALSE(lease_.valid());
  EXPECT_EQ(memory_.get("key", soon())->revision, 0);
}

TEST(Heartbeat, BeatsByTheClockAndOnDemand) {
  ManualClock clock;
  std::atomic<int> beats = 0;
  Heartbeat heartbeat(clock.now(), 1, [&] {
    ++beats;
    return 10.0;
  });
  clock.advance(1);
  EXPECT_TRUE(eventually([&] { return beats == 1; }));
  clock.advance(9);
  heartbeat.beat_now();
  EXPECT_TRUE(eventually([&] { return beats == 2; }));
  clock.advance(10);
  EXPECT_TRUE(eventually([&] { return beats == 3; }));
}

}  // namespace
}  // namespace longshot::cluster

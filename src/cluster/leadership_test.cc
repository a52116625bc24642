#include "cluster/leadership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/memory_directory.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::HasSubstr;

class LeadershipTest : public testing::Test {
 protected:
  LeadershipTest() : memory_(clock_.now()), network_a_(memory_), network_b_(memory_) {}

  std::unique_ptr<Leadership> win(Directory& directory, const std::string& name) {
    LeadershipOptions options;
    options.election = {.ttl_seconds = 3, .now = clock_.now()};
    options.on_lost = [this] { ++lost_; };
    options.on_back = [this] { ++back_; };
    auto out = Leadership::win(directory, "coordinator", name, std::move(options), soon());
    EXPECT_TRUE(out.ok()) << out.status().message();
    return std::move(out).value();
  }
  std::string value(const std::string& key) { return memory_.get(key, soon())->value; }
  // The clock moves while the condition is awaited, so that the background thread works.
  bool in_time(const std::function<bool()>& condition) {
    return eventually([&] {
      clock_.advance(0.1);
      return condition();
    });
  }

  ManualClock clock_;
  MemoryDirectory memory_;
  CutDirectory network_a_, network_b_;
  std::atomic<int> lost_ = 0, back_ = 0;
};

TEST_F(LeadershipTest, AnAnnouncementLastsAsLongAsTheLeadership) {
  auto a = win(network_a_, "a");
  EXPECT_TRUE(a->announce("address", "here", soon()).ok());
  EXPECT_EQ(value("address"), "here");
  EXPECT_TRUE(a->put("weights", "7", soon()).value());
  a.reset();
  memory_.settle();
  EXPECT_EQ(value("address"), "");
  EXPECT_EQ(value("weights"), "7");
}

TEST_F(LeadershipTest, LeadsAgainAfterTheDirectoryWasAway) {
  const auto a = win(network_a_, "a");
  EXPECT_TRUE(a->announce("address", "here", soon()).ok());
  network_a_.cut(true);
  clock_.advance(4);
  EXPECT_TRUE(eventually([&] { return value("address").empty(); }));
  EXPECT_TRUE(in_time([&] { return lost_ == 1; }));
  EXPECT_FALSE(a->put("weights", "7", soon()).ok());
  network_a_.cut(false);
  EXPECT_TRUE(in_time([&] { return back_ == 1; }));
  EXPECT_EQ(value("address"), "here");
  EXPECT_TRUE(a->check().ok());
  EXPECT_EQ(a->epoch(), 2);
  EXPECT_TRUE(a->put("weights", "7", soon()).value());
  EXPECT_EQ(lost_, 1);
}

TEST_F(LeadershipTest, AnotherLeaderIsNoticedAndLeftAlone) {
  const auto a = win(network_a_, "a");
  EXPECT_TRUE(a->announce("address", "of a", soon()).ok());
  network_a_.cut(true);
  clock_.advance(4);
  const auto b = win(network_b_, "b");
  EXPECT_TRUE(b->announce("address", "of b", soon()).ok());
  network_a_.cut(false);
  EXPECT_FALSE(a->put("weights", "7", soon()).value());
  EXPECT_TRUE(eventually([&] {
    clock_.advance(0.01);
    return !a->check().ok();
  })) << a->check().message();
  EXPECT_THAT(a->check().message(), HasSubstr(R"("candidate":"b")"));
  EXPECT_EQ(value("address"), "of b");
  EXPECT_TRUE(b->check().ok());
}

TEST_F(LeadershipTest, AnotherLeaderThatHasEndedIsNoticedToo) {
  const auto a = win(network_a_, "a");
  network_a_.cut(true);
  clock_.advance(4);
  win(network_b_, "b").reset();
  network_a_.cut(false);
  EXPECT_TRUE(in_time([&] { return !a->check().ok(); }));
  EXPECT_THAT(a->check().message(), HasSubstr("has led meanwhile"));
}

}  // namespace
}  // namespace longshot::cluster

#include "cluster/registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/memory_directory.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

class RegistrationTest : public testing::Test {
 protected:
  RegistrationTest() : memory_(clock_.now()), directory_(memory_) {}

  std::unique_ptr<Registration> start() {
    RegistrationOptions options;
    options.now = clock_.now();
    return Registration::start(directory_, "workers/a", {{"slots", 4}}, options, soon()).value();
  }
  Entry entry() { return memory_.get("workers/a", soon()).value(); }
  bool present() { return entry().revision != 0; }
  // Moves the clock in small steps, each of which the background thread can follow.
  void advance(double seconds) {
    for (double done = 0; done < seconds; done += 0.25) {
      clock_.advance(0.25);
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
  }

  ManualClock clock_;
  MemoryDirectory memory_;
  CutDirectory directory_;
};

TEST_F(RegistrationTest, IsPresentWhileItLives) {
  {
    const auto registration = start();
    EXPECT_EQ(entry().value, R"({"slots":4})");
    const int64_t revision = entry().revision;
    advance(12);
    EXPECT_EQ(entry().revision, revision);
    EXPECT_TRUE(registration->present());
  }
  EXPECT_FALSE(present());
}

TEST_F(RegistrationTest, RenewsEveryThirdOfItsTime) {
  const auto registration = start();
  const int before = directory_.calls();
  advance(3);
  // Each renewal has two calls.
  EXPECT_THAT(directory_.calls() - before, testing::AllOf(testing::Ge(4), testing::Le(6)));
}

TEST_F(RegistrationTest, WritesANewValue) {
  const auto registration = start();
  registration->update({{"slots", 5}});
  EXPECT_TRUE(eventually([&] { return entry().value == R"({"slots":5})"; }));
}

TEST_F(RegistrationTest, ReturnsAfterAPartition) {
  const auto registration = start();
  directory_.cut(true);
  clock_.advance(3);
  ASSERT_TRUE(eventually([&] { return !registration->present(); }));
  EXPECT_FALSE(present());
  advance(2);
  EXPECT_FALSE(registration->present());
  directory_.cut(false);
  clock_.advance(1);
  ASSERT_TRUE(eventually([&] { return registration->present(); }));
  EXPECT_TRUE(present());
}

TEST_F(RegistrationTest, ReturnsAtOnceWhenItsLeaseWasRevoked) {
  const auto registration = start();
  EXPECT_TRUE(memory_.revoke(entry().lease, soon()).ok());
  EXPECT_FALSE(present());
  clock_.advance(1);
  ASSERT_TRUE(eventually([&] { return present() && registration->present(); }));
}

TEST_F(RegistrationTest, WritesAKeyThatOthersHaveRemoved) {
  const auto registration = start();
  EXPECT_TRUE(memory_.remove("workers/a", soon()).ok());
  clock_.advance(1);
  EXPECT_TRUE(eventually([&] { return present(); }));
  EXPECT_TRUE(registration->present());
}

TEST_F(RegistrationTest, AFailedStartIsAnError) {
  directory_.cut(true);
  const auto made = Registration::start(directory_, "a", {}, {}, soon());
  EXPECT_EQ(made.status().code(), StatusCode::unavailable);
}

}  // namespace
}  // namespace longshot::cluster

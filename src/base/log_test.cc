#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/log_reader.h"

namespace longshot::log {
namespace {

using testing::ElementsAre;

class LogReader : public testing::Test {
 protected:
  LogReader() {
    (void)read_warnings([](const Warning&) {});
  }  // forgets those of other tests
  WarningReader into_texts() {
    return [this](const Warning& warning) { texts_.push_back(warning.text); };
  }

  std::vector<std::string> texts_;
};

TEST_F(LogReader, GetsWarningsAndErrorsAndFirstThoseFromBefore) {
  warn("before {}", 1);
  const auto handle = read_warnings(into_texts());
  info("not a warning");
  warn("now {}", 2);
  error("worse");
  EXPECT_THAT(texts_, ElementsAre("before 1", "now 2", "worse"));
}

TEST_F(LogReader, EndsWithItsHandleAndTheNextOneGetsTheRest) {
  {
    const auto handle = read_warnings(into_texts());
    warn("for the first");
  }
  warn("for the second");
  EXPECT_THAT(texts_, ElementsAre("for the first"));
  texts_.clear();
  const auto handle = read_warnings(into_texts());
  EXPECT_THAT(texts_, ElementsAre("for the second"));
}

TEST_F(LogReader, OnlyTheLastWarningsAreKept) {
  for (size_t i = 0; i <= kKeptWarnings; ++i) warn("{}", i);
  const auto handle = read_warnings(into_texts());
  ASSERT_EQ(texts_.size(), kKeptWarnings);
  EXPECT_EQ(texts_.front(), "1");
}

TEST_F(LogReader, MayLogItself) {
  const auto handle = read_warnings([this](const Warning& warning) {
    texts_.push_back(warning.text);
    if (texts_.size() == 1) warn("of the reader");
  });
  warn("first");
  EXPECT_THAT(texts_, ElementsAre("first", "of the reader"));
}

TEST_F(LogReader, GetsThoseOfAllThreads) {
  std::atomic<int> count = 0;
  const auto handle = read_warnings([&](const Warning&) { ++count; });
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 5; ++i) warn("of a thread");
    });
  threads.clear();
  EXPECT_EQ(count, 20);
}

}  // namespace
}  // namespace longshot::log

#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace longshot {
namespace {

TEST(ThreadPool, EveryIndexRunsOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int count : {0, 1, 2, 4, 7, 1000}) {
      std::vector<std::atomic<int>> runs(count);
      pool.parallel_for(count, [&](int i) { ++runs.at(i); });
      for (int i = 0; i < count; ++i) EXPECT_EQ(runs[i], 1) << i << " of " << count;
    }
  }
}

TEST(ThreadPool, AnExceptionOfAnyThreadReachesTheCaller) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int bad : {0, 7, 99}) {
      const auto body = [&](int i) {
        if (i == bad) throw std::runtime_error("bad " + std::to_string(i));
      };
      try {
        pool.parallel_for(100, body);
        ADD_FAILURE() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), "bad " + std::to_string(bad));
      }
      std::atomic<int> runs{0};
      pool.parallel_for(100, [&](int) { ++runs; });
      EXPECT_EQ(runs, 100);
    }
  }
}

TEST(ThreadPool, RangesCoverAllAndOnlyTheLastOfAStretchIsShort) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int count : {0, 1, 3, 16, 1000}) {
      for (const int least : {1, 3, 64}) {
        std::vector<std::atomic<int>> runs(count);
        std::atomic<int> small{0};
        pool.parallel_ranges(count, least, [&](int begin, int end) {
          EXPECT_LT(begin, end);
          small += end - begin < least ? 1 : 0;
          for (int i = begin; i < end; ++i) ++runs.at(i);
        });
        for (int i = 0; i < count; ++i) EXPECT_EQ(runs[i], 1) << i << " of " << count;
        EXPECT_LE(small, threads);
      }
    }
  }
}

// The caller remains at its first index until all other indices are done.
TEST(ThreadPool, WhoIsDoneTakesFromTheEndOfAnother) {
  ThreadPool pool(2);
  std::mutex mutex;
  std::vector<int> others;
  std::atomic<int> left{7};
  const auto caller = std::this_thread::get_id();
  pool.parallel_for(8, [&](int i) {
    if (std::this_thread::get_id() != caller) {
      std::lock_guard lock(mutex);
      others.push_back(i);
      --left;
    } else {
      EXPECT_EQ(i, 0);
      while (left > 0) std::this_thread::yield();
    }
  });
  EXPECT_EQ(others, (std::vector<int>{4, 5, 6, 7, 3, 2, 1}));
}

}  // namespace
}  // namespace longshot

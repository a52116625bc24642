#pragma once
// A pool for the tests, and short ways to describe jobs.

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/pool.h"

namespace longshot::sandbox {

inline PoolOptions test_options(int slots = 2) {
  PoolOptions options;
  options.slots = slots;
  const char* directory = std::getenv("LONGSHOT_BIN_DIR");  // of a copy that another user can read
  options.jail_directory = directory != nullptr ? directory : LONGSHOT_BIN_DIR;
  return options;
}

// One for all tests of a program: starting it takes longer than most of them. Null where this machine forbids jails, as
// an unprivileged container does; the test is then skipped.
inline Pool* shared_pool() {
  static const Result<std::unique_ptr<Pool>> pool = Pool::start(test_options());
  return pool.ok() ? pool->get() : nullptr;
}

#define NEED_POOL(pool)                                       \
  Pool* const pool = shared_pool();                           \
  if (pool == nullptr) {                                      \
    const auto tried = Pool::start(test_options());           \
    GTEST_SKIP() << "no jails: " << tried.status().message(); \
  }

inline Job shell(const std::string& script) {
  Job job;
  job.argv = {"/bin/bash", "-c", script};
  return job;
}

inline Job python(const std::string& code) {
  Job job;
  job.argv = {"main.py"};
  job.files = {{"main.py", code, false}};
  return job;
}

inline Outcome run(Pool& pool, const Job& job, Lane lane = Lane::native) {
  auto outcome = pool.run(job, lane, {});
  EXPECT_TRUE(outcome.ok()) << outcome.status().message();
  return outcome.ok() ? *outcome : Outcome();
}

}  // namespace longshot::sandbox

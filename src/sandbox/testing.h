#pragma once
// A pool and a sandbox for the tests, and short functions that describe jobs.

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/os/machine.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox.h"

namespace longshot::sandbox {

inline PoolOptions test_options(int slots = 2) {
  PoolOptions options;
  options.slots = slots;
  const char* directory = std::getenv("LONGSHOT_BIN_DIR");  // of a copy that another user can read
  options.jail_directory = directory != nullptr ? directory : LONGSHOT_BIN_DIR;
  return options;
}

// If this machine forbids jails, as an unprivileged container does, the test is skipped. Otherwise
// a missing jail is a failure.
#define NEED_JAILS(status)                                                          \
  if (!(status).ok()) {                                                             \
    if (!can_make_namespaces()) GTEST_SKIP() << "no jails: " << (status).message(); \
    FAIL() << "no jails: " << (status).message();                                   \
  }

// Shared by all tests of a program, because starting it takes longer than most tests.
inline const Result<std::unique_ptr<Pool>>& shared_pool() {
  static const Result<std::unique_ptr<Pool>> pool = Pool::start(test_options());
  return pool;
}

#define NEED_POOL(pool)              \
  NEED_JAILS(shared_pool().status()) \
  Pool* const pool = shared_pool()->get()

class InSandbox : public ::testing::Test {
 protected:
  static const Result<std::unique_ptr<Sandbox>>& made() {
    static const auto sandbox = Sandbox::create(test_options());
    return sandbox;
  }
  static Sandbox* sandbox() { return made()->get(); }
  void SetUp() override { NEED_JAILS(made().status()); }
  static RunRequest request(const std::string& language, const std::string& code) {
    RunRequest request;
    request.program.language = language;
    request.program.code = code;
    request.compile_limits = default_compile_limits();
    return request;
  }
};

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

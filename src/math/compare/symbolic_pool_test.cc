#include "math/compare/symbolic_pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "math/read/expression_parser.h"

namespace longshot::math {
namespace {

Expression read(const std::string& text) {
  auto e = parse_expression(text);
  EXPECT_TRUE(e) << text;
  return e.value_or(number(0));
}

Result<bool> ask(SymbolicPool& pool, const std::string& a, const std::string& b,
                 const SymbolicLimits& limits = {}, Deadline deadline = Deadline::never()) {
  return pool.equal(read(a), read(b), false, limits, deadline);
}

// Equal, but only an expansion shows it, which takes many seconds or more memory than the limit.
const char* const kLong = "(a+b+c+d+m+n)^{16}+\\sqrt{x}";
const char* const kLongToo = "((a+b)^2+2(a+b)(c+d+m+n)+(c+d+m+n)^2)^8+\\sqrt{x}";
const char* const kLarge = "(a+b+c+d+m+n+p+q)^{32}+\\sqrt{x}";
const char* const kLargeToo = "((a+b)^2+2(a+b)(c+d+m+n+p+q)+(c+d+m+n+p+q)^2)^{16}+\\sqrt{x}";

TEST(SymbolicPool, AnswersOneQuestionAfterAnother) {
  SymbolicPool pool;
  for (int i = 0; i < 50; ++i) {
    const auto yes = ask(pool, "a^2-4", "(a+2)(a-2)"), no = ask(pool, "a^2-4", "(a+2)(a+2)");
    ASSERT_TRUE(yes.ok() && no.ok()) << yes.status().to_string() << no.status().to_string();
    EXPECT_TRUE(*yes);
    EXPECT_FALSE(*no);
  }
}

TEST(SymbolicPool, WorkOverTheLimitIsAnErrorInTimeAndTheNextQuestionIsAnswered) {
  SymbolicPool pool;
  const Stopwatch watch;
  const auto over = ask(pool, kLong, kLongToo, {.cpu_milliseconds = 200});
  const double seconds = watch.seconds();
  ASSERT_FALSE(over.ok()) << *over;
  EXPECT_EQ(over.status().code(), StatusCode::exhausted) << over.status().to_string();
  EXPECT_NE(over.status().message().find("200 ms"), std::string::npos);
  std::printf("a limit of 200 ms of processor time held after %.0f ms\n", 1000 * seconds);
  const auto next = ask(pool, "x+x", "2x");
  ASSERT_TRUE(next.ok()) << next.status().to_string();
  EXPECT_TRUE(*next);
}

TEST(SymbolicPool, TheDeadlineOfTheCallHolds) {
  SymbolicPool pool;
  const Stopwatch watch;
  const auto late =
      ask(pool, kLong, kLongToo, {.cpu_milliseconds = 100000}, Deadline::after_seconds(0.2));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.status().code(), StatusCode::timeout) << late.status().to_string();
  EXPECT_LT(watch.seconds(), 10);  // not the 100 s of the limit
}

#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // sanitizers need unlimited address space
TEST(SymbolicPool, MemoryIsBounded) {
  SymbolicPool pool;
  const auto over = ask(pool, kLarge, kLargeToo, {.cpu_milliseconds = 60000, .megabytes = 64});
  ASSERT_FALSE(over.ok()) << *over;
  EXPECT_EQ(over.status().code(), StatusCode::internal) << over.status().to_string();
  const auto next = ask(pool, "x+x", "2x");
  EXPECT_TRUE(next.ok() && *next) << next.status().to_string();
}
#endif

TEST(SymbolicPool, ManyThreadsShareIt) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&right, t] {
      for (int i = 0; i < 25; ++i) {
        const auto power = std::to_string(2 + (t + i) % 5);
        const auto yes = ask(SymbolicPool::shared(), "(x+1)^" + power, "(1+x)^" + power);
        const auto no = ask(SymbolicPool::shared(), "(x+1)^" + power, "(x-1)^" + power);
        right += yes.ok() && *yes && no.ok() && !*no;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 100);
}

// The child processes of this process.
std::vector<pid_t> children() {
  std::vector<pid_t> out;
  const std::string file = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
  std::ifstream in(file);
  for (pid_t pid; in >> pid;) out.push_back(pid);
  return out;
}

TEST(SymbolicPool, AWorkerThatWasKilledIsReplaced) {
  const auto before = children();
  SymbolicPool pool;
  ASSERT_TRUE(ask(pool, "x+x", "2x").ok());
  for (const pid_t pid : children()) {
    if (std::find(before.begin(), before.end(), pid) == before.end()) ::kill(pid, SIGKILL);
  }
  const auto failed = ask(pool, "x+x", "2x"), next = ask(pool, "x+x", "2x");
  EXPECT_EQ(failed.status().code(), StatusCode::internal);
  ASSERT_TRUE(next.ok()) << next.status().to_string();
  EXPECT_TRUE(*next);
}

TEST(SymbolicPool, LeavesNoProcessBehind) {
  const size_t before = children().size();
  {
    SymbolicPool pool;
    ASSERT_TRUE(ask(pool, "x+x", "2x").ok());
    EXPECT_GT(children().size(), before);
  }
  EXPECT_EQ(children().size(), before);
}

}  // namespace
}  // namespace longshot::math

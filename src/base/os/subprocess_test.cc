#include "base/os/subprocess.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/os/stop.h"

namespace longshot {
namespace {

Subprocess* start_or_fail(std::unique_ptr<Subprocess>& holder, std::vector<std::string> argv) {
  auto child = Subprocess::start({.argv = std::move(argv), .environment = {}, .directory = ""});
  EXPECT_TRUE(child.ok()) << child.status().to_string();
  if (child.ok()) holder = std::move(child).value();
  return holder.get();
}

// True if the process exists and is not reaped yet.
bool alive(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

bool gone_soon(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (!alive(pid)) return true;
    usleep(10000);
  }
  return false;
}

TEST(Subprocess, AnswersLineByLine) {
  std::unique_ptr<Subprocess> child;
  ASSERT_TRUE(start_or_fail(child, {"cat"}));
  const auto deadline = Deadline::after_seconds(60);
  for (const std::string line : {"one", "", "three"}) {
    ASSERT_TRUE(child->write(line + "\n", deadline).ok());
    const auto reply = child->read_line(deadline);
    ASSERT_TRUE(reply.ok()) << reply.status().to_string();
    EXPECT_EQ(*reply, line);
  }
  child->close_stdin();
  EXPECT_EQ(child->read_line(deadline).status().code(), StatusCode::unavailable);
  const auto ended = child->wait(deadline);
  ASSERT_TRUE(ended.ok());
  EXPECT_TRUE(ended->success());
}

TEST(Subprocess, LargeInputAndOutputDoNotBlockEachOther) {
  const std::string big(4 << 20, 'x');
  const auto out = run_process({.argv = {"cat"}, .environment = {}, .directory = ""}, big,
                               Deadline::after_seconds(60));
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_EQ(out->out.size(), big.size());
}

TEST(Subprocess, ReportsExitCodeStderrDirectoryAndEnvironment) {
  const auto out = run_process({.argv = {"sh", "-c", "echo \"$GREETING\" >&2; pwd; exit 3"},
                                .environment = {{"GREETING", "hello"}},
                                .directory = "/"},
                               "", Deadline::after_seconds(60));
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_EQ(out->exit.code, 3);
  EXPECT_EQ(out->err, "hello\n");
  EXPECT_EQ(out->out, "/\n");
}

TEST(Subprocess, KeepsOnlyTheTailOfStderr) {
  const auto out = run_process(
      {.argv = {"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done"},
       .environment = {},
       .directory = "",
       .stderr_tail_bytes = 100},
      "", Deadline::after_seconds(60));
  ASSERT_TRUE(out.ok()) << out.status().to_string();
  EXPECT_LE(out->err.size(), 100u);
  EXPECT_NE(out->err.find("line 19999"), std::string::npos);
}

TEST(Subprocess, MissingProgramIsNotFound) {
  const auto child =
      Subprocess::start({.argv = {"no-such-program-anywhere"}, .environment = {}, .directory = ""});
  EXPECT_EQ(child.status().code(), StatusCode::not_found);
  EXPECT_NE(child.status().message().find("no-such-program-anywhere"), std::string::npos);
}

TEST(Subprocess, WritingToAProgramThatIsGoneIsAnErrorNotASignal) {
  std::unique_ptr<Subprocess> child;
  ASSERT_TRUE(start_or_fail(child, {"true"}));
  ASSERT_TRUE(child->wait(Deadline::after_seconds(60)).ok());
  const std::string big(1 << 20, 'x');
  EXPECT_EQ(child->write(big, Deadline::after_seconds(60)).code(), StatusCode::unavailable);
}

TEST(Subprocess, DeadlineEndsTheWaitAndKillEndsTheWholeGroup) {
  std::unique_ptr<Subprocess> child;
  ASSERT_TRUE(start_or_fail(child, {"sh", "-c", "sleep 100 & echo $!; wait"}));
  const auto line = child->read_line(Deadline::after_seconds(60));
  ASSERT_TRUE(line.ok());
  const pid_t grandchild = std::stoi(*line), leader = child->pid();
  ASSERT_TRUE(alive(grandchild));
  Stopwatch watch;
  EXPECT_EQ(child->read_line(Deadline::after_seconds(0.2)).status().code(), StatusCode::timeout);
  EXPECT_LT(watch.seconds(), 30.0);
  EXPECT_EQ(child->kill().signal, SIGKILL);
  EXPECT_FALSE(alive(leader));  // reaped: not even a zombie
  // Init reaps the grandchild; until then it may be a zombie of another parent.
  child.reset();
  const std::string stat = "/proc/" + std::to_string(grandchild) + "/stat";
  bool ended = false;
  for (int i = 0; i < 200 && !ended; ++i, usleep(10000)) {
    FILE* f = fopen(stat.c_str(), "r");
    char state = 'X';
    if (f != nullptr) {
      if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 'X';
      fclose(f);
    }
    ended = state == 'X' || state == 'Z';
  }
  EXPECT_TRUE(ended);
}

TEST(Subprocess, DestructionKillsAndReaps) {
  pid_t pid = 0;
  {
    std::unique_ptr<Subprocess> child;
    ASSERT_TRUE(start_or_fail(child, {"sleep", "100"}));
    pid = child->pid();
    EXPECT_TRUE(alive(pid));
  }
  EXPECT_TRUE(gone_soon(pid));
}

TEST(Subprocess, EndlessLineIsCorruptNotMemory) {
  std::unique_ptr<Subprocess> child;
  ASSERT_TRUE(start_or_fail(child, {"sh", "-c", "tr '\\0' x < /dev/zero"}));
  EXPECT_EQ(child->read_line(Deadline::after_seconds(60), 1 << 20).status().code(),
            StatusCode::corrupt);
}

TEST(Subprocess, StopRequestEndsTheWaitQuickly) {
  std::unique_ptr<Subprocess> child;
  ASSERT_TRUE(start_or_fail(child, {"sleep", "100"}));
  std::thread stopper([] {
    usleep(100000);
    request_stop();
  });
  Stopwatch watch;
  EXPECT_EQ(child->read_line(Deadline::after_seconds(60)).status().code(), StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 30.0);
  stopper.join();
  clear_stop_request();
}

TEST(Subprocess, ChildSeesNoDescriptorsOfOurs) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);  // without close-on-exec
  const auto out =
      run_process({.argv = {"ls", "/proc/self/fd"}, .environment = {}, .directory = ""}, "",
                  Deadline::after_seconds(60));
  close(fds[0]);
  close(fds[1]);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->out, "0\n1\n2\n3\n");  // 3 is the directory that ls reads
}

TEST(Subprocess, ManyProcessesLeaveNoZombies) {
  for (int i = 0; i < 50; ++i) {
    const auto out = run_process({.argv = {"true"}, .environment = {}, .directory = ""}, "",
                                 Deadline::after_seconds(60));
    ASSERT_TRUE(out.ok()) << out.status().to_string();
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // no child left
}

}  // namespace
}  // namespace longshot

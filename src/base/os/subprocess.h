#pragma once
// A child program with pipes on stdin, stdout and stderr. It is started with posix_spawn (never a
// bare fork: this process may run libtorch's threads), in its own process group, and inherits no
// other descriptor.

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"

namespace longshot {

struct SubprocessOptions {
  std::vector<std::string> argv;                                 // argv[0] is searched in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to or replacing ours
  std::string directory;                                         // working directory; "" = ours
  size_t stderr_tail_bytes = 4096;  // number of bytes kept from the end of stderr
};

struct ExitState {
  int code = 0;    // exit code; meaningless when signal != 0
  int signal = 0;  // signal that ended the process, 0 if it exited
  bool success() const { return code == 0 && signal == 0; }
  std::string to_string() const;  // "exit code 3", "killed by signal 9 (Killed)"
};

// Not thread-safe: use from one thread at a time. Every call that waits returns a timeout status at
// the deadline, and a cancelled status soon after stop_requested(). The process is then still
// running and its owner decides what to do. Destruction kills the whole process group and reaps the
// child, so no zombies and no orphans remain in the group.
class Subprocess {
 public:
  // not_found if the program does not exist.
  static Result<std::unique_ptr<Subprocess>> start(const SubprocessOptions& options);
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  // Writes all bytes and meanwhile reads the child's output, so that neither side can block the
  // other. unavailable if the child closed its stdin.
  Status write(std::string_view bytes, Deadline deadline);
  void close_stdin();

  // The next line of stdout without its newline. unavailable at the end of stdout (an unterminated
  // last line is dropped); corrupt if the line is longer than max_bytes.
  Result<std::string> read_line(Deadline deadline, size_t max_bytes = 16 << 20);
  // All remaining bytes of stdout. corrupt if there are more than max_bytes.
  Result<std::string> read_all(Deadline deadline, size_t max_bytes = 16 << 20);

  // Waits for the child, then kills the rest of its process group. Repeatable.
  Result<ExitState> wait(Deadline deadline);
  // Sends SIGKILL to the whole group, then reaps the child. Repeatable.
  ExitState kill();

  // The last bytes of stderr seen so far.
  std::string stderr_tail();
  // Whole lines of stderr that are available now and were not returned before. Bytes dropped from
  // the tail are missing here too.
  std::string take_stderr_lines();
  pid_t pid() const { return pid_; }

 private:
  Subprocess() = default;
  // One poll round: reads the child's output into out_ and err_ and writes from `pending` to the
  // child.
  Status pump(std::string_view* pending, Deadline deadline);
  void read_into(int& fd, std::string& buffer);
  void trim_stderr();
  Status write_once(std::string_view* pending);

  pid_t pid_ = -1;
  bool reaped_ = false;
  ExitState exit_;
  int in_ = -1, out_fd_ = -1, err_fd_ = -1;
  std::string out_;
  size_t scanned_ = 0;  // bytes of out_ known to contain no newline
  std::string err_;
  size_t err_taken_ = 0;  // bytes of err_ that take_stderr_lines() has returned
  size_t stderr_tail_bytes_ = 0;
};

struct ProcessOutput {
  ExitState exit;
  std::string out;
  std::string err;  // tail
};
// Runs a program to its end with `input` on stdin. On timeout or cancellation the group is killed.
Result<ProcessOutput> run_process(const SubprocessOptions& options, std::string_view input,
                                  Deadline deadline);

}  // namespace longshot

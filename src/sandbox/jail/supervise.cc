#include "sandbox/jail/supervise.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "sandbox/jail/activity.h"
#include "sandbox/jail/die.h"
#include "sandbox/jail/program.h"
#include "sandbox/jail/run_root.h"
#include "sandbox/jail/syscalls.h"
#include "sandbox/wire.h"

namespace longshot::sandbox::jail {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kTickMilliseconds = 20;  // interval of the checks of processor time
// A run that uses less than this share of the time may be waiting. The supervisor's own work, which
// the control group counts too, is below it.
constexpr double kIdleShare = 0.05;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// An immutable file in memory with these bytes.
int input_file(const std::string& content) {
  const int fd = must(::memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create");
  for (size_t done = 0; done < content.size();) {
    const ssize_t wrote = ::write(fd, content.data() + done, content.size() - done);
    if (wrote < 0) fault("writing stdin");
    done += wrote;
  }
  ::lseek(fd, 0, SEEK_SET);
  must(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), "seals");
  return fd;
}

struct Pipe {
  int read = -1, write = -1;
};
Pipe make_pipe() {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC), "pipe");
  return {ends[0], ends[1]};
}

class Run {
 public:
  // `proc`: a descriptor of the lane's /proc, in which all processes of the run are visible.
  Run(const Job& job, const RunContext& context, int proc)
      : job_(job), context_(context), proc_(proc), own_number_(own_number(proc)) {}

  // Returns true in the program of a warm lane, and false in the supervisor.
  bool start() {
    const Streams streams = open_streams();
    start_ = Clock::now();
    cpu_before_ = context_.group.cpu_seconds().value_or(0);
    main_ = must(::fork(), "fork");
    if (main_ == 0) {
      become_program(job_, context_.ids, streams, context_.filter,
                     job_.limit_address_space && !context_.group.limits_memory());
      if (!context_.warm) execute(job_);
      ::close(3);  // nothing can fail from here on
      return true;
    }
    for (const int fd : {streams.in, streams.out, streams.err, streams.fault}) ::close(fd);
    main_fd_ = must(open_pidfd(main_), "pidfd_open");
    return false;
  }

  void watch() {
    while (!over_) {
      std::array<pollfd, 4> watched = {pollfd{main_fd_, POLLIN, 0}, pollfd{out_, POLLIN, 0},
                                       pollfd{err_, POLLIN, 0}, pollfd{fault_, POLLIN, 0}};
      ::poll(watched.data(), watched.size(), kTickMilliseconds);
      if (watched[3].revents != 0) take_fault();
      take(out_, outcome_.out);
      take(err_, outcome_.err);
      if (watched[0].revents != 0) over_ = true;
      check_time();
    }
  }

  void end() {
    outcome_.wall_seconds = seconds_since(start_);
    int state = 0;
    pid_t ended;
    ::kill(-1, SIGKILL);
    while ((ended = ::waitpid(-1, &state, 0)) > 0 || errno == EINTR) {
      if (ended == main_) state_ = state;
    }
    // All writers have ended, so reading reaches the end of the pipes.
    while (out_ >= 0 && take(out_, outcome_.out)) {
    }
    while (err_ >= 0 && take(err_, outcome_.err)) {
    }
    take_fault();
    count_resources();
    decide();
    outcome_.files = fetch_files(job_);
  }

  const Outcome& outcome() const { return outcome_; }

 private:
  Streams open_streams() {
    const Pipe out = make_pipe(), err = make_pipe(), fault = make_pipe();
    out_ = out.read;
    err_ = err.read;
    fault_ = fault.read;
    for (const int fd : {out_, err_, fault_}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    return {input_file(job_.input), out.write, err.write, fault.write};
  }

  // False if nothing is available now. Closes the pipe at its end and when the limit is exceeded.
  bool take(int& pipe, std::string& text) {
    if (pipe < 0) return false;
    std::array<char, 1 << 16> bytes;
    const ssize_t got = ::read(pipe, bytes.data(), bytes.size());
    if (got < 0) return false;
    const size_t room = job_.limits.output_bytes - text.size();
    text.append(bytes.data(), std::min<size_t>(got, room));
    const bool too_much = static_cast<size_t>(got) > room;
    if (too_much)
      stop(Ending::output,
           "more output than " + std::to_string(job_.limits.output_bytes) + " bytes");
    if (got == 0 || too_much) {
      ::close(pipe);
      pipe = -1;
    }
    return pipe >= 0;
  }

  // Reads the reason if the program could not be started.
  void take_fault() {
    if (fault_ < 0) return;
    std::array<char, 512> bytes;
    const ssize_t got = ::read(fault_, bytes.data(), bytes.size());
    if (got < 0) return;
    if (got > 0) fault_text_.assign(bytes.data(), got);
    ::close(fault_);
    fault_ = -1;
  }

  void stop(Ending ending, const std::string& message) {
    if (ending_ == Ending::ok) {
      ending_ = ending;
      outcome_.message = message;
    }
    over_ = true;
  }

  // Processor time of all processes: the group's count or, without a group, the time of the
  // terminated processes plus that of the existing ones.
  double cpu_now() const {
    if (const auto used = context_.group.cpu_seconds()) return *used - cpu_before_;
    rusage ended{};
    ::getrusage(RUSAGE_CHILDREN, &ended);
    return seconds(ended) + activity_below(proc_, own_number_).cpu_seconds;
  }
  static double seconds(const rusage& use) {
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec +
           1e-6 * (use.ru_utime.tv_usec + use.ru_stime.tv_usec);
  }

  void check_time() {
    if (over_) return;
    const double now = seconds_since(start_);
    if (now > job_.limits.wall_seconds) {
      stop(Ending::timeout, "wall time limit");
    } else if (now > last_look_ + 0.001 * kTickMilliseconds) {
      look_at_processors(now);
    }
  }

  // A program that waits for a processor does not count as idle.
  void look_at_processors(double now) {
    const double cpu = cpu_now(), step = now - last_look_;
    const bool quiet = cpu - last_cpu_ < kIdleShare * step;
    if (quiet && !activity_below(proc_, own_number_).wants_processor) idle_ += step;
    last_look_ = now;
    last_cpu_ = cpu;
    if (cpu > job_.limits.cpu_seconds) {
      stop(Ending::timeout, "processor time limit");
    } else if (idle_ > job_.limits.idle_seconds) {
      stop(Ending::timeout, "it only waits");
    }
  }

  void count_resources() {
    rusage all{};
    ::getrusage(RUSAGE_CHILDREN, &all);
    outcome_.cpu_seconds = seconds(all);
    outcome_.memory_bytes = static_cast<uint64_t>(all.ru_maxrss) << 10;  // of the largest process
  }

  void decide() {
    if (!fault_text_.empty()) {
      outcome_.ending = Ending::internal;
      outcome_.message = fault_text_;
      return;
    }
    outcome_.exit_code = WIFEXITED(state_) ? WEXITSTATUS(state_) : 0;
    outcome_.signal = WIFSIGNALED(state_) ? WTERMSIG(state_) : 0;
    outcome_.ending = ending_;
    if (ending_ != Ending::ok) return;
    if (outcome_.cpu_seconds > job_.limits.cpu_seconds) {
      say(Ending::timeout, "processor time limit");
    } else if (outcome_.signal == SIGXFSZ) {
      say(Ending::output,
          "a file larger than " + std::to_string(job_.limits.file_bytes) + " bytes");
    } else if (outcome_.signal != 0) {
      say(Ending::signaled, std::string("killed by signal ") + std::to_string(outcome_.signal) +
                                " (" + ::strsignal(outcome_.signal) + ")");
    } else if (outcome_.exit_code != 0) {
      say(Ending::runtime, "exit code " + std::to_string(outcome_.exit_code));
    }
  }
  void say(Ending ending, std::string message) {
    outcome_.ending = ending;
    outcome_.message = std::move(message);
  }

  const Job& job_;
  const RunContext& context_;
  Outcome outcome_;
  Ending ending_ = Ending::ok;
  Clock::time_point start_;
  double cpu_before_ = 0, last_look_ = 0, last_cpu_ = 0, idle_ = 0;
  const int proc_;
  const pid_t own_number_;
  pid_t main_ = -1;
  int main_fd_ = -1, out_ = -1, err_ = -1, fault_ = -1, state_ = 0;
  std::string fault_text_;
  bool over_ = false;
};

// If the kernel must free memory, it should kill a process of the run instead of the lane that
// waits for it.
void offer_to_out_of_memory_killer() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, "1000", 4) != 4) fault("oom_score_adj");
  ::close(fd);
}

}  // namespace

void supervise(const Job& job, const RunContext& context, int result, int fault_fd) {
  report_faults_to(fault_fd);
  offer_to_out_of_memory_killer();
  must(::prctl(PR_SET_DUMPABLE, 0), "PR_SET_DUMPABLE");
  const int proc = must(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "the lane's /proc");
  enter_run_root(job, context.mounts, context.ids);
  Run run(job, context, proc);
  if (run.start()) return;
  run.watch();
  run.end();
  const std::string bytes = encode(run.outcome());
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(result, bytes.data() + done, bytes.size() - done);
    if (wrote < 0) fault("writing the outcome");
    done += wrote;
  }
  ::_exit(0);
}

}  // namespace longshot::sandbox::jail

#include "base/os/subprocess.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/os/stop.h"

extern char** environ;

namespace longshot {
namespace {

constexpr int kSliceMs = 100;  // how quickly stop_requested() is noticed

std::string error_text(int error) {
  return strerror(error);
}

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

struct Pipe {
  int read = -1, write = -1;
  ~Pipe() {
    close_fd(read);
    close_fd(write);
  }
  bool open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return false;
    read = above_stdio(fds[0]);
    write = above_stdio(fds[1]);
    return read >= 0 && write >= 0;
  }
  // If this program was started with closed standard streams, its pipes get their numbers, which
  // dup2 would overwrite.
  static int above_stdio(int fd) {
    if (fd > 2) return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    ::close(fd);
    return moved;
  }
};

int take(int& fd) {
  const int out = fd;
  fcntl(out, F_SETFL, O_NONBLOCK);
  fd = -1;
  return out;
}

std::vector<std::string> merged_environment(const SubprocessOptions& options) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) merged[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [key, value] : options.environment) merged[key] = value;
  std::vector<std::string> out;
  for (const auto& [key, value] : merged) out.push_back(key + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

// Own process group, default signal actions, no blocked signals: the child must not inherit our
// stop handling.
void set_attributes(posix_spawnattr_t* attributes) {
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int s : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) sigaddset(&defaults, s);
  posix_spawnattr_setsigmask(attributes, &none);
  posix_spawnattr_setsigdefault(attributes, &defaults);
  posix_spawnattr_setpgroup(attributes, 0);
  posix_spawnattr_setflags(attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int spawn(const SubprocessOptions& options, int in, int out, int err, pid_t* pid) {
  std::vector<std::string> arguments = options.argv, environment = merged_environment(options);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_adddup2(&actions, err, 2);
  // Libraries may hold descriptors without close-on-exec.
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (!options.directory.empty())
    posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
  set_attributes(&attributes);
  const int rc = posix_spawnp(pid, options.argv[0].c_str(), &actions, &attributes,
                              pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return rc;
}

// write(2) that turns a closed pipe into EPIPE without the process-wide signal.
ssize_t write_quietly(int fd, const char* data, size_t size) {
  sigset_t pipe_set, old;
  sigemptyset(&pipe_set);
  sigaddset(&pipe_set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
  const ssize_t n = ::write(fd, data, size);
  const int error = errno;
  if (n < 0 && error == EPIPE && !sigismember(&old, SIGPIPE)) {
    const timespec now{0, 0};
    while (sigtimedwait(&pipe_set, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  errno = error;
  return n;
}

ExitState exit_state(int status) {
  if (WIFSIGNALED(status)) return {0, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

}  // namespace

std::string ExitState::to_string() const {
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, strsignal(signal));
  return fmt::format("exit code {}", code);
}

Result<std::unique_ptr<Subprocess>> Subprocess::start(const SubprocessOptions& options) {
  if (options.argv.empty()) return invalid_argument("subprocess: empty command");
  Pipe in, out, err;
  if (!in.open() || !out.open() || !err.open()) {
    return unavailable("cannot open pipes for '" + options.argv[0] + "': " + error_text(errno));
  }
  std::unique_ptr<Subprocess> child(new Subprocess());
  const int rc = spawn(options, in.read, out.write, err.write, &child->pid_);
  if (rc != 0) {
    child->reaped_ = true;  // no process was started
    const std::string what = "cannot start '" + options.argv[0] + "': " + error_text(rc);
    return rc == EAGAIN || rc == ENOMEM ? unavailable(what) : not_found(what);
  }
  child->in_ = take(in.write);
  child->out_fd_ = take(out.read);
  child->err_fd_ = take(err.read);
  child->stderr_tail_bytes_ = options.stderr_tail_bytes;
  return child;
}

Subprocess::~Subprocess() {
  kill();
  close_fd(in_);
  close_fd(out_fd_);
  close_fd(err_fd_);
}

void Subprocess::close_stdin() {
  close_fd(in_);
}

void Subprocess::read_into(int& fd, std::string& buffer) {
  char chunk[65536];
  const ssize_t n = ::read(fd, chunk, sizeof(chunk));
  if (n > 0) {
    buffer.append(chunk, static_cast<size_t>(n));
  } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
    close_fd(fd);
  }
}

void Subprocess::trim_stderr() {
  if (err_.size() <= 2 * stderr_tail_bytes_) return;
  const size_t dropped = err_.size() - stderr_tail_bytes_;
  err_.erase(0, dropped);
  err_taken_ -= std::min(err_taken_, dropped);
}

Status Subprocess::write_once(std::string_view* pending) {
  const ssize_t n = write_quietly(in_, pending->data(), pending->size());
  if (n > 0) {
    pending->remove_prefix(static_cast<size_t>(n));
  } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
    return unavailable("the program closed its input: " + error_text(errno));
  }
  return {};
}

Status Subprocess::pump(std::string_view* pending, Deadline deadline) {
  if (stop_requested()) return cancelled("stopped while waiting for a program");
  const int left = deadline.milliseconds_left();
  if (left == 0) return timeout_error("the program did not answer in time");
  const bool writing = pending != nullptr && !pending->empty();
  pollfd fds[3] = {{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}, {writing ? in_ : -1, POLLOUT, 0}};
  const int ready = ::poll(fds, 3, left < 0 ? kSliceMs : std::min(left, kSliceMs));
  if (ready < 0 && errno != EINTR) return internal_error("poll: " + error_text(errno));
  if (ready <= 0) return {};
  if (fds[0].revents != 0) read_into(out_fd_, out_);
  if (fds[1].revents != 0) {
    read_into(err_fd_, err_);
    trim_stderr();
  }
  return fds[2].revents != 0 ? write_once(pending) : ok_status();
}

Status Subprocess::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (in_ < 0) return unavailable("the program's input is closed");
    LS_RETURN_IF_ERROR(pump(&bytes, deadline));
  }
  return {};
}

Result<std::string> Subprocess::read_line(Deadline deadline, size_t max_bytes) {
  while (true) {
    const size_t newline = out_.find('\n', scanned_);
    if (newline != std::string::npos && newline <= max_bytes) {
      std::string line = out_.substr(0, newline);
      out_.erase(0, newline + 1);
      scanned_ = 0;
      return line;
    }
    scanned_ = out_.size();
    if (out_.size() > max_bytes)
      return corrupt(fmt::format("a line of output is longer than {} bytes", max_bytes));
    if (out_fd_ < 0) return unavailable("the program ended its output");
    LS_RETURN_IF_ERROR(pump(nullptr, deadline));
  }
}

Result<std::string> Subprocess::read_all(Deadline deadline, size_t max_bytes) {
  while (out_fd_ >= 0) {
    if (out_.size() > max_bytes)
      return corrupt(fmt::format("the output is longer than {} bytes", max_bytes));
    LS_RETURN_IF_ERROR(pump(nullptr, deadline));
  }
  scanned_ = 0;
  return std::exchange(out_, {});
}

Result<ExitState> Subprocess::wait(Deadline deadline) {
  while (!reaped_) {
    siginfo_t info{};
    // WNOWAIT: the id stays ours until the rest of the group is gone.
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_) {
      return kill();
    }
    if (out_fd_ < 0 && err_fd_ < 0) {
      if (stop_requested()) return cancelled("stopped while waiting for a program");
      if (deadline.expired()) return timeout_error("the program did not end in time");
      ::poll(nullptr, 0, 2);
    } else {
      LS_RETURN_IF_ERROR(pump(
          nullptr, deadline.seconds_left() < 0.005 ? deadline : Deadline::after_seconds(0.005)));
    }
  }
  return exit_;
}

ExitState Subprocess::kill() {
  if (reaped_) return exit_;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  exit_ = exit_state(status);
  return exit_;
}

std::string Subprocess::stderr_tail() {
  for (int i = 0; i < 64 && err_fd_ >= 0; ++i) {
    const size_t before = err_.size();
    read_into(err_fd_, err_);
    if (err_.size() == before) break;
    trim_stderr();
  }
  return err_.size() > stderr_tail_bytes_ ? err_.substr(err_.size() - stderr_tail_bytes_) : err_;
}

std::string Subprocess::take_stderr_lines() {
  (void)stderr_tail();                      // updates err_
  const size_t end = err_.rfind('\n') + 1;  // npos + 1 is 0
  if (end <= err_taken_) return "";
  const size_t begin = std::exchange(err_taken_, end);
  return err_.substr(begin, end - begin);
}

Result<ProcessOutput> run_process(const SubprocessOptions& options, std::string_view input,
                                  Deadline deadline) {
  LS_ASSIGN_OR_RETURN(auto child, Subprocess::start(options));
  const Status written = child->write(input, deadline);
  // A program may end without reading its input; then its exit code says whether it failed.
  if (!written.ok() && written.code() != StatusCode::unavailable) return written;
  child->close_stdin();
  ProcessOutput output;
  LS_ASSIGN_OR_RETURN(output.out, child->read_all(deadline));
  LS_ASSIGN_OR_RETURN(output.exit, child->wait(deadline));
  output.err = child->stderr_tail();
  return output;
}

}  // namespace longshot

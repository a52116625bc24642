#include "sandbox/slot.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "sandbox/wire.h"

namespace longshot::sandbox {
namespace {

// To start an interpreter on a busy machine.
constexpr double kStartSeconds = 20;
constexpr double kGraceSeconds = 20;  // beyond the wall limit; the lane itself gives up earlier
constexpr int kTickMilliseconds = 20;
constexpr int kFirstFd = 100;  // above the descriptors that the child receives

Status system_error(const std::string& what) {
  return internal_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// Closes the descriptors that are still open at the end of spawn().
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct Ends {
  Fd ours, theirs;
};

Result<Ends> raised(int ours, int theirs) {
  Ends ends{Fd(ours), Fd(::fcntl(theirs, F_DUPFD_CLOEXEC, kFirstFd))};
  ::close(theirs);
  if (ends.theirs.get() < 0) return system_error("descriptors for a jail");
  return ends;
}

Result<Ends> make_socket() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("socketpair");
  // Each message is sent and received at once; if that takes longer, the jail is stuck.
  const timeval patience{static_cast<time_t>(kGraceSeconds), 0};
  ::setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  ::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return raised(ends[0], ends[1]);
}

Result<Ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("pipe");
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return raised(ends[0], ends[1]);
}

// Waits for bytes or the end of the channel; false at the deadline.
bool await_bytes(int channel, int milliseconds) {
  pollfd watched{channel, POLLIN, 0};
  return ::poll(&watched, 1, milliseconds) > 0;
}

std::optional<std::string> receive_frame(int channel, FrameType expected) {
  std::string head(kFrameHead, '\0');
  if (!receive_all(channel, head.data(), head.size())) return std::nullopt;
  const auto size = body_size(head);
  if (!size || head[0] != static_cast<char>(expected)) return std::nullopt;
  std::string body(*size, '\0');
  if (!receive_all(channel, body.data(), body.size())) return std::nullopt;
  return body;
}

}  // namespace

Result<std::unique_ptr<Slot>> Slot::start(const SlotOptions& options) {
  std::unique_ptr<Slot> slot(new Slot());
  LS_RETURN_IF_ERROR(slot->spawn(options));
  const Deadline deadline = Deadline::after_seconds(kStartSeconds);
  LS_RETURN_IF_ERROR(slot->await_ready(slot->native_, deadline));
  if (!options.python.empty()) LS_RETURN_IF_ERROR(slot->await_ready(slot->python_, deadline));
  return slot;
}

Status Slot::spawn(const SlotOptions& options) {
  LS_ASSIGN_OR_RETURN(Ends native, make_socket());
  LS_ASSIGN_OR_RETURN(Ends python, make_socket());
  LS_ASSIGN_OR_RETURN(Ends faults, make_pipe());
  std::vector<std::string> words = {options.jail,
                                    "3",
                                    "4",
                                    options.groups,
                                    std::to_string(options.keeper_id),
                                    options.python,
                                    options.python.empty() ? "" : options.library};
  words.insert(words.end(), options.directories.begin(), options.directories.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* no_environment[] = {nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, 0, 1);
  posix_spawn_file_actions_adddup2(&actions, faults.theirs.get(), 2);
  posix_spawn_file_actions_adddup2(&actions, native.theirs.get(), 3);
  posix_spawn_file_actions_adddup2(&actions, python.theirs.get(), 4);
  posix_spawn_file_actions_addclosefrom_np(&actions, 5);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  errno = ::posix_spawn(&pid_, argv[0], &actions, &attributes, argv.data(), no_environment);
  const Status status = errno == 0 ? ok_status() : system_error("starting " + options.jail);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (!status.ok()) {
    pid_ = -1;
    return status;
  }
  native_ = native.ours.release();
  python_ = python.ours.release();
  faults_ = faults.ours.release();
  return ok_status();
}

Status Slot::await_ready(int channel, Deadline deadline) {
  if (!await_bytes(channel, deadline.milliseconds_left())) return broken("not ready in time");
  if (!receive_frame(channel, FrameType::ready)) return broken("cannot be set up");
  return ok_status();
}

Status Slot::broken(const std::string& what) {
  std::array<char, 2048> text;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the reason may arrive after the end
  const ssize_t got = ::read(faults_, text.data(), text.size());
  const std::string reason(text.data(), got > 0 ? got : 0);
  return internal_error(fmt::format("jail {}{}{}", what, reason.empty() ? "" : ": ", reason));
}

Slot::~Slot() {
  for (const int fd : {native_, python_, faults_}) {
    if (fd >= 0) ::close(fd);
  }
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);  // the kernel then kills everything below it
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Outcome> Slot::run(const Job& job, Lane lane, const std::function<bool()>& cancelled_now) {
  const int channel = lane == Lane::python ? python_ : native_;
  if (!send_all(channel, frame(FrameType::job, encode(job)))) return broken("has ended");
  const Deadline deadline = Deadline::after_seconds(job.limits.wall_seconds + kGraceSeconds);
  bool told = false;
  while (!await_bytes(channel, kTickMilliseconds)) {
    if (deadline.expired()) return broken("does not answer");
    if (!told && cancelled_now && cancelled_now()) {
      send_all(channel, frame(FrameType::cancel, ""));
      told = true;
    }
  }
  const auto body = receive_frame(channel, FrameType::outcome);
  if (!body) return broken("ended during a run");
  std::string_view rest;
  const auto report = decode_report(*body, &rest);
  const auto outcome = rest.empty() ? std::optional<Outcome>(Outcome()) : decode_outcome(rest);
  if (!report || !outcome) return broken("answered with something unreadable");
  if (report->cancelled || (told && !report->finished)) return cancelled("the run was cancelled");
  return combine(*report, *outcome);
}

}  // namespace longshot::sandbox

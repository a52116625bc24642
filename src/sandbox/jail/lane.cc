#include "sandbox/jail/lane.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "sandbox/jail/die.h"
#include "sandbox/jail/namespaces.h"
#include "sandbox/jail/syscalls.h"
#include "sandbox/wire.h"

namespace longshot::sandbox::jail {
namespace {

// For a run's mounts, its files and its end, on a busy machine.
constexpr double kSetupSeconds = 10;

void wipe(std::string& text) {
  ::explicit_bzero(text.data(), text.size());
}

// Returns the next frame's type. The process exits at the end of the channel.
FrameType receive(int channel, std::string& body) {
  std::string head(kFrameHead, '\0');
  if (!receive_all(channel, head.data(), head.size())) ::_exit(0);
  const auto size = body_size(head);
  if (!size) {
    errno = EPROTO;
    fault("reading a job");
  }
  body.resize(*size);
  if (!receive_all(channel, body.data(), body.size())) ::_exit(0);
  return static_cast<FrameType>(head[0]);
}

Job next_job(int channel) {
  std::string body;
  while (receive(channel, body) != FrameType::job) {  // a cancellation that arrived too late
  }
  auto job = decode_job(body);
  wipe(body);
  errno = EPROTO;
  if (!job) fault("decoding a job");
  return std::move(*job);
}

std::string read_whole(int fd) {
  std::string bytes(std::max<off_t>(0, ::lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), 0);
  bytes.resize(std::max<ssize_t>(0, got));
  return bytes;
}

std::string read_pipe(int fd) {
  std::array<char, 512> bytes;
  const ssize_t got = ::read(fd, bytes.data(), bytes.size());
  return std::string(bytes.data(), std::max<ssize_t>(0, got));
}

// Waits for the run's first process and so for all of its processes. Ends the run early if it is
// cancelled or takes far too long.
void await(int channel, const Child& run, double max_seconds, LaneReport& report) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(max_seconds);
  bool killed = false;
  while (true) {
    const double left =
        std::chrono::duration<double>(end - std::chrono::steady_clock::now()).count();
    std::array<pollfd, 2> watched = {pollfd{run.pidfd, POLLIN, 0},
                                     pollfd{killed ? -1 : channel, POLLIN, 0}};
    ::poll(watched.data(), watched.size(),
           killed ? -1 : std::max(0, static_cast<int>(left * 1e3) + 1));
    if (watched[0].revents != 0) return;
    if (watched[1].revents != 0) {
      std::string body;
      report.cancelled = receive(channel, body) == FrameType::cancel;
      report.message = "cancelled";
    } else if (left > 0) {
      continue;
    } else {
      report.message = "the run's supervisor did not end it in time";
    }
    signal_pidfd(run.pidfd, SIGKILL);
    killed = true;
  }
}

void reply(int channel, const LaneReport& report, const std::string& outcome) {
  const std::string head = encode(report);
  if (!send_all(channel, frame_head(FrameType::outcome, head.size() + outcome.size())) ||
      !send_all(channel, head) || !send_all(channel, outcome))
    ::_exit(0);
}

// The lane's descriptors for one run.
struct Ends {
  int result = -1, fault_read = -1, fault_write = -1;
};

Ends make_ends() {
  Ends ends;
  int pipe[2];
  must(::pipe2(pipe, O_CLOEXEC), "pipe");
  ends.fault_read = pipe[0];
  ends.fault_write = pipe[1];
  ends.result = must(::memfd_create("outcome", MFD_CLOEXEC), "memfd_create");
  return ends;
}

void finish_run(int channel, const Job& job, const RunContext& context, const Child& run,
                const Ends& ends) {
  ::close(ends.fault_write);
  LaneReport report;
  await(channel, run, job.limits.wall_seconds + kSetupSeconds, report);
  int state = 0;
  while (::waitpid(run.pid, &state, 0) < 0 && errno == EINTR) {
  }
  report.finished = WIFEXITED(state) && WEXITSTATUS(state) == 0;
  report.out_of_memory = context.group.out_of_memory();
  report.memory_bytes = context.group.peak();
  if (!report.finished && report.message.empty()) {
    report.message = read_pipe(ends.fault_read);
    if (report.message.empty())
      report.message = "the run's supervisor ended with wait status " + std::to_string(state);
  }
  std::string outcome = report.finished ? read_whole(ends.result) : "";
  reply(channel, report, outcome);
  wipe(outcome);
  for (const int fd : {run.pidfd, ends.fault_read, ends.result}) ::close(fd);
}

}  // namespace

void wipe(Job& job) {
  wipe(job.input);
  for (auto* list : {&job.argv, &job.fetch}) {
    for (std::string& word : *list) wipe(word);
  }
  for (File& file : job.files) {
    wipe(file.path);
    wipe(file.content);
  }
}

Job serve_lane(int channel, const RunContext& context_in, const ForkHooks& hooks) {
  RunContext context = context_in;
  while (true) {
    Job job = next_job(channel);
    context.group.begin(job.limits.memory_bytes, job.limits.processes);
    const Ends ends = make_ends();
    if (hooks.before) hooks.before();
    const Child run = clone_into_namespaces(&context.ids);
    if (run.pid == 0) {
      ::close(channel);
      ::close(ends.fault_read);
      supervise(job, context, ends.result, ends.fault_write);
      return job;
    }
    if (hooks.after_in_parent) hooks.after_in_parent();
    finish_run(channel, job, context, run, ends);
    wipe(job);
  }
}

}  // namespace longshot::sandbox::jail

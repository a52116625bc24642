#include "sandbox/jail/program.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "sandbox/jail/die.h"
#include "sandbox/jail/filter.h"
#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {
namespace {

constexpr int kFaultFd = 3;

void limit(__rlimit_resource_t which, rlim_t soft, rlim_t hard) {
  rlimit value{};
  must(::getrlimit(which, &value), "getrlimit");
  value.rlim_max = std::min(hard, value.rlim_max);  // the service's own limit may be lower
  value.rlim_cur = std::min(soft, value.rlim_max);
  must(::setrlimit(which, &value), "setrlimit");
}

void set_limits(const Job& job, const Ids& ids, bool limit_address_space) {
  const Limits& limits = job.limits;
  // The supervisor watches the processor time of all processes together. This limit ends a process
  // that the supervisor does not notice in time.
  const rlim_t cpu = static_cast<rlim_t>(std::ceil(limits.cpu_seconds)) + 1;
  limit(RLIMIT_CPU, cpu, cpu + 1);
  limit(RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes);
  limit(RLIMIT_NOFILE, limits.open_files, limits.open_files);
  // Unlike 0, a limit of 1 also keeps the kernel from starting a core dump handler.
  limit(RLIMIT_CORE, 1, 1);
  limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
  limit(RLIMIT_MSGQUEUE, 0, 0);  // its bytes would not be counted for any run
  // Counted per user id in the user namespace. With only one id, the supervisor is one of these
  // processes.
  const rlim_t processes = limits.processes + (ids.two ? 0 : 1);
  limit(RLIMIT_NPROC, processes, processes);
  const rlim_t stack = std::min<rlim_t>(limits.memory_bytes / 2, 256 << 20);
  limit(RLIMIT_STACK, limit_address_space ? std::min<rlim_t>(stack, 16 << 20) : stack, stack);
  if (limit_address_space) limit(RLIMIT_AS, limits.memory_bytes, limits.memory_bytes);
}

void take_streams(const Streams& streams) {
  // Moves the sources above the targets first, so that none is overwritten before it is moved.
  const std::array<int, 4> sources = {streams.in, streams.out, streams.err, streams.fault};
  std::array<int, 4> high;
  for (size_t i = 0; i < sources.size(); ++i)
    high[i] = must(::fcntl(sources[i], F_DUPFD, 64), "dup");
  for (int i = 0; i < 3; ++i) must(::dup2(high[i], i), "dup2");
  must(::dup3(high[3], kFaultFd, O_CLOEXEC), "dup3");
  report_faults_to(kFaultFd);
  must(close_from(kFaultFd + 1), "close_range");
}

}  // namespace

void become_program(const Job& job, const Ids& ids, const Streams& streams,
                    const std::string& filter, bool limit_address_space) {
  must(::setsid(), "setsid");
  take_streams(streams);
  set_limits(job, ids, limit_address_space);
  become_powerless();
  // Otherwise the process would not own its /proc/self.
  must(::prctl(PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE");
  install_filter(filter);
}

void execute(const Job& job) {
  std::vector<char*> argv;
  for (const std::string& word : job.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  constexpr const char* kEnvironment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                          "HOME=/box",
                                          "USER=user",
                                          "TMPDIR=/tmp",
                                          "LANG=C.UTF-8",
                                          "PYTHONHASHSEED=0",
                                          "PYTHONINTMAXSTRDIGITS=0",
                                          "PYTHONDONTWRITEBYTECODE=1",
                                          nullptr};
  ::execve(argv[0], argv.data(), const_cast<char**>(kEnvironment));
  fault("starting " + job.argv[0]);
}

}  // namespace longshot::sandbox::jail

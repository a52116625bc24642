// longshot-jail: the processes between the service and a run. Started by sandbox/slot.cc with an
// empty environment:
//   longshot-jail CHANNEL PYTHON_CHANNEL GROUPS KEEPER_ID PYTHON LIBRARY [DIRECTORY...]
// CHANNEL and PYTHON_CHANNEL are sockets. GROUPS are control groups joined by ':'. KEEPER_ID is the
// first of two ids that root reserves for the slot, or 0. PYTHON is the interpreter and LIBRARY the
// library that it loads; both are empty without an interpreter. Each DIRECTORY is mounted
// read-only. Faults are written to stderr, which the service reads.
//
//   outer process (the host's view)
//     └─ native lane: first process of an outer set of namespaces, root of everything below
//          ├─ run, run, ...             one at a time
//          └─ Python lane
//               └─ run, run, ...        one at a time
//
// When one of these processes ends, everything below it ends too. The native lane ends when the
// service closes its channel.

#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "sandbox/harness_source.h"
#include "sandbox/jail/die.h"
#include "sandbox/jail/filter.h"
#include "sandbox/jail/image.h"
#include "sandbox/jail/lane.h"
#include "sandbox/jail/python_lane_source.h"
#include "sandbox/jail/syscalls.h"
#include "sandbox/wire.h"

namespace longshot::sandbox::jail {
namespace {

struct Arguments {
  int channel, python_channel;
  std::string groups;
  unsigned keeper_id;
  std::string python, library;
  std::vector<std::string> directories;
};

std::string joined(const std::vector<std::string>& words, const std::string& by) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : by) + word;
  return text;
}

// A name of the file that remains valid when its directory is out of reach.
std::string by_descriptor(const std::string& path) {
  return "/proc/self/fd/" + std::to_string(must(::open(path.c_str(), O_RDONLY), path.c_str()));
}

// Starts the slot's interpreter in the lane's namespaces and without a terminal.
void start_python(const Arguments& arguments, const Group& group, int filter,
                  const std::vector<std::string>& mounts, bool two_ids) {
  const pid_t child = must(::fork(), "fork");
  if (child != 0) return;
  must(::prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
  ::close(arguments.channel);
  const std::vector<std::string> words = {arguments.python,
                                          "-s",
                                          "-c",
                                          std::string(kPythonLaneSource),
                                          arguments.library,
                                          std::to_string(arguments.python_channel),
                                          two_ids ? "two" : "one",
                                          group.to_text(),
                                          std::to_string(filter),
                                          joined(mounts, ":"),
                                          kHarnessSource,
                                          kChecksHarnessSource};
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  char language[] = "LANG=C.UTF-8", seed[] = "PYTHONHASHSEED=0",
       no_bytecode[] = "PYTHONDONTWRITEBYTECODE=1";
  char* environment[] = {language, seed, no_bytecode, nullptr};
  ::execve(argv[0], argv.data(), environment);
  fault("starting " + arguments.python);
}

void be_lane(const Arguments& arguments, const Group& group, std::vector<MountSource> sources,
             bool two_ids) {
  // Allows the lane to write the id maps of its runs.
  must(::prctl(PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE");
  if (sources.empty()) sources = open_sources(arguments.directories);
  const std::vector<std::string> mounts = enter_image(sources);
  const int filter = make_filter(group.limits_memory());
  RunContext context;
  context.mounts = mounts;
  context.ids = {two_ids, kKeeperId, kProgramId, kProgramId};
  context.filter = read_filter(filter);
  context.group = group;
  if (!arguments.python.empty()) start_python(arguments, group, filter, mounts, two_ids);
  ::close(arguments.python_channel);
  ::close(filter);
  if (!send_all(arguments.channel, frame(FrameType::ready, ""))) ::_exit(0);
  serve_lane(arguments.channel, context, {});
}

void run(const Arguments& arguments) {
  must(::setsid(), "setsid");
  // The room that the interpreter's address space leaves for its stack.
  const rlimit stack{64 << 20, RLIM_INFINITY};
  ::setrlimit(RLIMIT_STACK, &stack);
  const Group group = Group::join(arguments.groups);
  Ids ids;
  std::vector<MountSource> sources;
  if (arguments.keeper_id != 0) {
    ids = {true, arguments.keeper_id, arguments.keeper_id + 1, arguments.keeper_id + 1};
    must(::setgroups(0, nullptr), "setgroups");
    sources = open_sources(arguments.directories);  // while root's rights still allow it
  } else {
    ids = {false, 0, ::geteuid(), ::getegid()};
  }
  const Child lane = clone_into_namespaces(&ids);
  if (lane.pid == 0) {
    be_lane(arguments, group, std::move(sources), ids.two);
    return;
  }
  ::close(arguments.channel);
  ::close(arguments.python_channel);
  while (::waitpid(lane.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace
}  // namespace longshot::sandbox::jail

int main(int argc, char** argv) {
  using namespace longshot::sandbox::jail;  // NOLINT
  if (argc < 7) return kFaultExit;
  Arguments arguments = {std::atoi(argv[1]),
                         std::atoi(argv[2]),
                         argv[3],
                         static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10)),
                         argv[5],
                         argv[6],
                         {argv + 7, argv + argc}};
  if (!arguments.library.empty()) arguments.library = by_descriptor(arguments.library);
  run(arguments);
  return 0;
}

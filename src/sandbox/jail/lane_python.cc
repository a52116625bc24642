// The lane of a warm Python interpreter. python_lane.py loads this library into the interpreter.

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string>

#include "sandbox/jail/die.h"
#include "sandbox/jail/filter.h"
#include "sandbox/jail/lane.h"
#include "sandbox/wire.h"

namespace longshot::sandbox::jail {
namespace {

std::function<void()> interpreter_function(const char* name) {
  auto* function = reinterpret_cast<void (*)()>(::dlsym(RTLD_DEFAULT, name));
  errno = ENOSYS;
  if (function == nullptr) fault(std::string("the interpreter has no ") + name);
  return function;
}

RunContext context_of(const std::string& ids, const std::string& group, const std::string& filter,
                      const std::string& mounts) {
  RunContext context;
  context.warm = true;
  context.ids = {ids == "two", kKeeperId, kProgramId, kProgramId};
  context.group = Group::from_text(group);
  const int fd = std::stoi(filter);
  context.filter = read_filter(fd);
  ::close(fd);
  std::istringstream stream(mounts);
  for (std::string path; std::getline(stream, path, ':');) context.mounts.push_back(path);
  return context;
}

}  // namespace
}  // namespace longshot::sandbox::jail

// Serves jobs. Returns in each child that is to run one: the result is the job's argv, each word
// followed by a zero byte, and *size is its length. The texts are those that main.cc passes on the
// interpreter's command line.
extern "C" const char* longshot_serve_lane(int channel, const char* ids, const char* group,
                                           const char* filter, const char* mounts, size_t* size) {
  using namespace longshot::sandbox;        // NOLINT: C linkage needs the global namespace
  using namespace longshot::sandbox::jail;  // NOLINT
  static std::string words;
  const RunContext context = context_of(ids, group, filter, mounts);
  const auto after_in_child = interpreter_function("PyOS_AfterFork_Child");
  const ForkHooks hooks{interpreter_function("PyOS_BeforeFork"),
                        interpreter_function("PyOS_AfterFork_Parent")};
  if (!send_all(channel, frame(FrameType::ready, ""))) ::_exit(0);
  Job job = serve_lane(channel, context, hooks);
  for (const std::string& word : job.argv) words.append(word).push_back('\0');
  wipe(job);
  after_in_child();
  *size = words.size();
  return words.data();
}

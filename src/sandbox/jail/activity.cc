#include "sandbox/jail/activity.h"

#include <dirent.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>
#include <string>

#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {
namespace {

struct Process {
  pid_t parent = 0;
  char state = 'S';
  double cpu_seconds = 0;
};

std::string read_small(int directory, const std::string& path) {
  const int fd = ::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::array<char, 1024> text;
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  return std::string(text.data(), got > 0 ? got : 0);
}

// proc(5): the name in parentheses may contain any character. It is followed by state and parent;
// fields 14 to 17 are the times.
Process parse(const std::string& stat) {
  Process process;
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return process;
  std::istringstream fields(stat.substr(name_end + 1));
  fields >> process.state >> process.parent;
  std::string skipped;
  for (int field = 5; field < 14; ++field) fields >> skipped;
  double ticks = 0;
  for (int field = 14; field <= 17; ++field) {
    double time = 0;
    fields >> time;
    ticks += time;
  }
  process.cpu_seconds = ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return process;
}

void for_each_number(int directory, const std::string& path,
                     const std::function<void(const std::string&)>& visit) {
  const int fd = ::openat(directory, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* const listing = fd < 0 ? nullptr : ::fdopendir(fd);
  if (listing == nullptr) {
    if (fd >= 0) ::close(fd);
    return;
  }
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') visit(entry->d_name);
  }
  ::closedir(listing);
}

bool is_below(const std::map<pid_t, Process>& all, pid_t process, pid_t parent) {
  for (size_t steps = 0; steps <= all.size(); ++steps) {
    const auto found = all.find(process);
    if (found == all.end()) return false;
    process = found->second.parent;
    if (process == parent) return true;
  }
  return false;
}

bool is_active(char state) {
  return state == 'R' || state == 'D';
}

bool has_active_thread(int proc, const std::string& number) {
  bool active = false;
  for_each_number(proc, number + "/task", [&](const std::string& thread) {
    if (!active)
      active = is_active(parse(read_small(proc, number + "/task/" + thread + "/stat")).state);
  });
  return active;
}

}  // namespace

Activity activity_below(int proc, pid_t parent) {
  std::map<pid_t, Process> all;
  for_each_number(proc, ".", [&](const std::string& number) {
    all[std::atoi(number.c_str())] = parse(read_small(proc, number + "/stat"));
  });
  Activity activity;
  for (const auto& [number, process] : all) {
    if (!is_below(all, number, parent)) continue;
    activity.cpu_seconds += process.cpu_seconds;
    activity.wants_processor = activity.wants_processor || is_active(process.state) ||
                               has_active_thread(proc, std::to_string(number));
  }
  return activity;
}

pid_t own_number(int proc) {
  std::array<char, 32> text{};
  const ssize_t size = ::readlinkat(proc, "self", text.data(), text.size() - 1);
  return size > 0 ? std::atoi(text.data()) : 0;
}

}  // namespace longshot::sandbox::jail

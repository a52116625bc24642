#include "base/os/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "base/os/fs.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  return text.ok() ? *text : std::string();
}

std::set<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return std::set<std::string>(std::istream_iterator<std::string>(stream), {});
}

// The value of the first line "key<spaces>: value".
std::string field(const std::string& text, const std::string& key) {
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, key.size(), key) != 0) continue;
    if (line.find_first_not_of(" \t", key.size()) != colon) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

uint64_t kibibytes(const std::string& value) {
  return std::strtoull(value.c_str(), nullptr, 10) << 10;
}

std::optional<uint64_t> limit_in(const fs::path& file) {
  const std::string text = text_of(file);
  if (text.empty() || text.compare(0, 3, "max") == 0) return {};
  const uint64_t value = std::strtoull(text.c_str(), nullptr, 10);
  // Version 1 reports "no limit" as a number close to 2^63.
  return value >= (1ull << 62) ? std::nullopt : std::optional<uint64_t>(value);
}

// "200000 100000": microseconds of processor time per period.
std::optional<double> quota_in(const fs::path& file) {
  std::istringstream stream(text_of(file));
  double quota = 0, period = 0;
  if (!(stream >> quota >> period) || quota <= 0 || period <= 0) return {};
  return quota / period;
}

template <typename T>
void keep_smaller(const std::optional<T>& value, std::optional<T>& smallest) {
  if (value && (!smallest || *value < *smallest)) smallest = value;
}

// Any group between ours and the mount point may set a limit. In a container the path may lie
// outside the mounted tree; then the mount point is our group.
std::vector<fs::path> groups_of(const fs::path& mount, const std::string& path) {
  fs::path group = (mount / fs::path(path).relative_path()).lexically_normal();
  std::vector<fs::path> groups;
  std::error_code ignored;
  for (; group != mount && group.native().size() > mount.native().size();
       group = group.parent_path()) {
    if (group.has_filename() && fs::is_directory(group, ignored)) groups.push_back(group);
  }
  groups.push_back(mount);
  return groups;
}

bool is_writable(const fs::path& path) {
  return ::access(path.c_str(), W_OK) == 0;
}

bool has_needed_controllers(const Machine& machine) {
  return machine.cgroup_controllers.count("memory") > 0 &&
         machine.cgroup_controllers.count("pids") > 0;
}

void read_cgroup_2(const fs::path& mount, const std::string& cgroups, Machine& machine) {
  machine.cgroup_version = 2;
  const std::vector<fs::path> groups = groups_of(mount, cgroup_path(cgroups, ""));
  for (const fs::path& group : groups) {
    keep_smaller(quota_in(group / "cpu.max"), machine.cpu_quota);
    keep_smaller(limit_in(group / "memory.max"), machine.memory_limit);
  }
  machine.cgroup_controllers = words(text_of(groups.front() / "cgroup.controllers"));
  machine.cgroup_writable =
      has_needed_controllers(machine) && ::access(groups.front().c_str(), W_OK) == 0 &&
      ::access((groups.front() / "cgroup.subtree_control").c_str(), W_OK) == 0;
}

void read_cgroup_1(const fs::path& mount, const std::string& cgroups, Machine& machine) {
  machine.cgroup_version = 1;
  for (const fs::path& group : groups_of(mount / "cpu", cgroup_path(cgroups, "cpu"))) {
    const std::optional<double> quota = [&]() -> std::optional<double> {
      const double micros = std::atof(text_of(group / "cpu.cfs_quota_us").c_str());
      const double period = std::atof(text_of(group / "cpu.cfs_period_us").c_str());
      return micros > 0 && period > 0 ? std::optional<double>(micros / period) : std::nullopt;
    }();
    keep_smaller(quota, machine.cpu_quota);
  }
  for (const fs::path& group : groups_of(mount / "memory", cgroup_path(cgroups, "memory"))) {
    keep_smaller(limit_in(group / "memory.limit_in_bytes"), machine.memory_limit);
  }
  // Each controller has its own hierarchy.
  bool writable = true;
  for (const std::string controller : {"cpu", "memory", "pids"}) {
    std::error_code ignored;
    if (!fs::is_directory(mount / controller, ignored)) continue;
    machine.cgroup_controllers.insert(controller);
    writable = writable &&
               is_writable(groups_of(mount / controller, cgroup_path(cgroups, controller)).front());
  }
  machine.cgroup_writable = writable && has_needed_controllers(machine);
}

int cores_in_affinity_mask() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void read_gpus(const fs::path& root, Machine& machine) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "proc/driver/nvidia/gpus", error)) {
    machine.nvidia_gpus.push_back(field(text_of(entry.path() / "information"), "Model"));
  }
}

}  // namespace

Machine inspect_machine(const fs::path& root) {
  Machine machine;
  const std::string cpuinfo = text_of(root / "proc/cpuinfo"),
                    meminfo = text_of(root / "proc/meminfo");
  machine.cpu_model = field(cpuinfo, "model name");
  machine.cpu_flags = words(field(cpuinfo, "flags"));
  if (machine.cpu_flags.empty())
    machine.cpu_flags = words(field(cpuinfo, "Features"));  // 64-bit ARM
  machine.cores = cores_in_affinity_mask();
  machine.memory_total = kibibytes(field(meminfo, "MemTotal"));
  machine.memory_available = kibibytes(field(meminfo, "MemAvailable"));
  const fs::path mount = root / "sys/fs/cgroup";
  const std::string cgroups = text_of(root / "proc/self/cgroup");
  std::error_code ignored;
  if (fs::exists(mount / "cgroup.controllers", ignored)) {
    read_cgroup_2(mount, cgroups, machine);
  } else if (fs::exists(mount / "memory", ignored) || fs::exists(mount / "cpu", ignored)) {
    read_cgroup_1(mount, cgroups, machine);
  }
  const std::string actions = text_of(root / "proc/sys/kernel/seccomp/actions_avail");
  machine.seccomp_filters = words(actions).count("errno") > 0;
  read_gpus(root, machine);
  return machine;
}

int usable_cores(const Machine& machine) {
  const double quota = machine.cpu_quota.value_or(machine.cores);
  return std::max(1, std::min(machine.cores, static_cast<int>(std::ceil(quota - 0.01))));
}

uint64_t usable_memory(const Machine& machine) {
  return std::min(machine.memory_available,
                  machine.memory_limit.value_or(machine.memory_available));
}

std::string cgroup_path(const std::string& cgroups, const std::string& controller) {
  std::istringstream stream(cgroups);
  for (std::string line; std::getline(stream, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool ours = controller.empty() ? names == ",,"
                                         : names.find("," + controller + ",") != std::string::npos;
    if (ours) return line.substr(second + 1);
  }
  return "/";
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

namespace {

std::atomic<double> earlier_peak = 0;  // GiB, before the kernel's own was begun anew

double current_peak_gib() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);  // ru_maxrss is in KiB
}

}  // namespace

double peak_memory_gib() {
  return std::max(earlier_peak.load(), current_peak_gib());
}

double take_peak_memory_gib() {
  const double peak = current_peak_gib();
  earlier_peak = std::max(earlier_peak.load(), peak);
  std::ofstream("/proc/self/clear_refs") << "5";  // proc(5): the peak becomes what is resident now
  return peak;
}

bool can_make_namespaces() {
  // The child makes one system call and exits, so it never touches a lock that another thread may
  // hold.
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0)
    ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
  int state = 0;
  while (::waitpid(child, &state, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

std::string find_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream stream(path == nullptr ? "" : path);
  for (std::string folder; std::getline(stream, folder, ':');) {
    const fs::path candidate = fs::path(folder) / program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return "";
}

}  // namespace longshot

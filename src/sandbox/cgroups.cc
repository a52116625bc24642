#include "sandbox/cgroups.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "base/os/fs.h"
#include "base/os/machine.h"

namespace longshot::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "longshot-";

bool write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

std::string read_text(const fs::path& path) {
  const auto text = read_file(path);
  return text.ok() ? *text : std::string();
}

std::set<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// In a container the path may lie outside the mounted tree; then the mount point is our group.
fs::path group_directory(const fs::path& mount, const std::string& path) {
  fs::path group = (mount / fs::path(path).relative_path()).lexically_normal();
  if (!group.has_filename()) group = group.parent_path();  // "/"
  std::error_code ignored;
  return fs::is_directory(group, ignored) ? group : mount;
}

// The start time of a process in clock ticks since boot. Together with the pid it identifies the
// process uniquely.
std::string start_time(pid_t pid) {
  const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  const size_t name_end = stat.rfind(')');  // the name before it may contain any character
  if (name_end == std::string::npos) return "";
  std::istringstream stream(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && stream >> field; ++i) {
  }
  return field;
}

std::string owner_name(pid_t pid) {
  return fmt::format("{}{}-{}-", kPrefix, pid, start_time(pid));
}

// Tries whether child groups can be created here.
bool can_make_groups(const fs::path& parent) {
  const fs::path probe = parent / (owner_name(::getpid()) + "probe");
  std::error_code error;
  const bool made = fs::create_directory(probe, error) && !error;
  return (::rmdir(probe.c_str()) == 0 || fs::remove(probe, error)) && made;
}

// Version 2: hands the wanted controllers to child groups. If the kernel refuses because the group
// has processes of its own, moves these into a child group first.
bool enable_controllers(const fs::path& group, const std::string& wanted) {
  if (write_text(group / "cgroup.subtree_control", wanted)) return true;
  const fs::path service = group / (std::string(kPrefix) + "service");
  std::error_code error;
  fs::create_directory(service, error);
  for (const std::string& pid : words(read_text(group / "cgroup.procs")))
    write_text(service / "cgroup.procs", pid);
  return write_text(group / "cgroup.subtree_control", wanted);
}

void find_version_2(const fs::path& mount, const std::string& cgroups, bool prepare,
                    GroupSupport& support) {
  fs::path group = group_directory(mount, cgroup_path(cgroups, ""));
  if (group.filename() == std::string(kPrefix) + "service") group = group.parent_path();
  const auto controllers = words(read_text(group / "cgroup.controllers"));
  std::string wanted;
  for (const char* name : {"memory", "pids", "cpu"}) {
    if (controllers.contains(name)) wanted += fmt::format("{}+{}", wanted.empty() ? "" : " ", name);
  }
  if (!controllers.contains("memory") && !controllers.contains("pids")) return;
  if (!can_make_groups(group) || (prepare && !enable_controllers(group, wanted))) {
    support.note = fmt::format("{} cannot be given to children", group.string());
    return;
  }
  support.parents.push_back(group);
  support.memory = controllers.contains("memory");
  support.processes = controllers.contains("pids");
  support.cpu_time = true;  // every group has cpu.stat
}

void find_version_1(const fs::path& mount, const std::string& cgroups, GroupSupport& support) {
  const std::pair<const char*, bool*> controllers[] = {
      {"memory", &support.memory}, {"pids", &support.processes}, {"cpuacct", &support.cpu_time}};
  for (const auto& [name, found] : controllers) {
    std::error_code ignored;
    if (*found || !fs::is_directory(mount / name, ignored)) continue;
    const fs::path group = group_directory(mount / name, cgroup_path(cgroups, name));
    if (!can_make_groups(group)) {
      support.note = fmt::format("{} is not writable", group.string());
      continue;
    }
    *found = true;
    support.parents.push_back(group);
  }
}

// Kills the processes in the group and retries for about two seconds, because only an empty group
// can be removed.
bool remove_group(const fs::path& group) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    std::error_code ignored;
    if (::rmdir(group.c_str()) == 0 || !fs::exists(group, ignored)) return true;
    for (const std::string& pid : words(read_text(group / "cgroup.procs")))
      ::kill(std::atoi(pid.c_str()), SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// True if the name is "longshot-PID-START-SLOT" and that process no longer runs.
bool is_stale(const std::string& name) {
  if (!name.starts_with(kPrefix)) return false;
  pid_t pid = 0;
  const char* begin = name.data() + std::string(kPrefix).size();
  const auto parsed = std::from_chars(begin, name.data() + name.size(), pid);
  if (parsed.ec != std::errc() || pid <= 0) return false;
  return start_time(pid).empty() || !name.starts_with(owner_name(pid));
}

}  // namespace

GroupSupport find_groups(bool prepare, const fs::path& root) {
  GroupSupport support;
  const std::string cgroups = read_text(root / "proc/self/cgroup");
  const fs::path mount = root / "sys/fs/cgroup";
  std::error_code ignored;
  // A host that mounts both versions has version 2 at "unified"; either version may have the
  // controllers.
  for (const fs::path& unified : {mount, mount / "unified"}) {
    if (fs::exists(unified / "cgroup.controllers", ignored))
      find_version_2(unified, cgroups, prepare, support);
  }
  find_version_1(mount, cgroups, support);
  if (support.parents.empty() && support.note.empty())
    support.note = "no control groups are mounted";
  return support;
}

SlotGroups::~SlotGroups() {
  for (const fs::path& group : made_) remove_group(group);
}

Result<std::string> SlotGroups::make(int slot) {
  std::string joined;
  for (const fs::path& parent : support_.parents) {
    const fs::path group = parent / (owner_name(::getpid()) + std::to_string(slot));
    std::error_code error;
    fs::create_directory(group, error);
    if (error) return io_error(group.string() + ": " + error.message());
    made_.push_back(group);
    joined += (joined.empty() ? "" : ":") + group.string();
  }
  return joined;
}

int sweep_groups(const GroupSupport& support) {
  int found = 0;
  for (const fs::path& parent : support.parents) {
    std::error_code error;
    std::vector<fs::path> stale;
    for (const auto& entry : fs::directory_iterator(parent, error)) {
      if (is_stale(entry.path().filename().string())) stale.push_back(entry.path());
    }
    for (const fs::path& group : stale) found += remove_group(group);
  }
  return found;
}

}  // namespace longshot::sandbox

#include "sandbox/jail/group.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "sandbox/jail/die.h"

namespace longshot::sandbox::jail {
namespace {

// Allowance for the lane itself, its interpreter and a run's supervisor.
constexpr uint32_t kOwnProcesses = 8;
constexpr uint64_t kOwnMemory = 32 << 20;

bool put(int fd, const std::string& text) {
  return fd >= 0 && ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string get(int fd) {
  std::array<char, 4096> text;
  const ssize_t got = fd < 0 ? 0 : ::pread(fd, text.data(), text.size(), 0);
  return got > 0 ? std::string(text.data(), got) : std::string();
}

// The number after `key` in the text's list of names and numbers; 0 if there is none.
uint64_t value_of(const std::string& text, const std::string& key) {
  std::istringstream stream(text);
  std::string name;
  for (uint64_t value; stream >> name >> value;) {
    if (name == key) return value;
  }
  return 0;
}

uint64_t number(int fd) {
  return std::strtoull(get(fd).c_str(), nullptr, 10);
}

void open_first(int& fd, const std::string& directory, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (fd >= 0) return;
    const std::string path = directory + "/" + name;
    fd = ::open(path.c_str(), O_RDWR);
    if (fd < 0) fd = ::open(path.c_str(), O_RDONLY);
  }
}

template <typename Self>
auto descriptors(Self& group) {
  return std::array{&group.memory_limit, &group.swap_limit,    &group.memory_usage,
                    &group.memory_peak,  &group.memory_events, &group.processes,
                    &group.cpu_usage};
}

}  // namespace

Group Group::join(const std::string& names) {
  Group group;
  std::istringstream stream(names);
  for (std::string directory; std::getline(stream, directory, ':');) {
    const int procs = must(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC),
                           ("opening the control group " + directory).c_str());
    if (::write(procs, "0", 1) != 1) fault("joining the control group " + directory);
    ::close(procs);
    group.version_2 |= ::access((directory + "/cgroup.controllers").c_str(), F_OK) == 0;
    open_first(group.memory_limit, directory, {"memory.max", "memory.limit_in_bytes"});
    open_first(group.swap_limit, directory, {"memory.swap.max", "memory.memsw.limit_in_bytes"});
    open_first(group.memory_usage, directory, {"memory.current", "memory.usage_in_bytes"});
    open_first(group.memory_peak, directory, {"memory.peak", "memory.max_usage_in_bytes"});
    open_first(group.memory_events, directory, {"memory.events", "memory.oom_control"});
    open_first(group.processes, directory, {"pids.max"});
    open_first(group.cpu_usage, directory, {"cpuacct.usage", "cpu.stat"});
  }
  return group;
}

std::string Group::to_text() const {
  std::string text = version_2 ? "2" : "1";
  for (const int* fd : descriptors(*this)) text += " " + std::to_string(*fd);
  return text;
}

Group Group::from_text(const std::string& text) {
  Group group;
  std::istringstream stream(text);
  int version = 0;
  stream >> version;
  group.version_2 = version == 2;
  for (int* fd : descriptors(group)) stream >> *fd;
  return group;
}

void Group::begin(uint64_t memory_bytes, uint32_t processes_most) {
  const uint64_t limit = memory_bytes + kOwnMemory;
  if (limit != limit_now_) {
    // Version 1 refuses a memory limit above the limit of memory plus swap, so the latter may have
    // to be raised first.
    put(memory_limit, std::to_string(limit));
    put(swap_limit, version_2 ? "0" : std::to_string(limit));
    if (memory_limit >= 0 && !put(memory_limit, std::to_string(limit)))
      fault("setting the group's memory limit");
    limit_now_ = limit;
  }
  if (processes_most != processes_now_) {
    if (processes >= 0 && !put(processes, std::to_string(processes_most + kOwnProcesses)))
      fault("setting the group's process limit");
    processes_now_ = processes_most;
  }
  // The peak can be reset in version 2 only since Linux 6.12, and only for this descriptor.
  peak_is_new_ = put(memory_peak, "0");
  usage_before_ = number(memory_usage);
  kills_before_ = kills();
}

uint64_t Group::kills() const {
  return value_of(get(memory_events), "oom_kill");
}

uint64_t Group::peak() const {
  const uint64_t peak = peak_is_new_ ? number(memory_peak) : 0;
  return peak > usage_before_ ? peak - usage_before_ : 0;
}

std::optional<double> Group::cpu_seconds() const {
  if (cpu_usage < 0) return std::nullopt;
  const std::string text = get(cpu_usage);
  // "usage_usec N" in version 2, nanoseconds in version 1.
  if (text.starts_with("usage_usec")) return value_of(text, "usage_usec") * 1e-6;
  return std::strtoull(text.c_str(), nullptr, 10) * 1e-9;
}

}  // namespace longshot::sandbox::jail

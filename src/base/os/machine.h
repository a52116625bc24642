#pragma once
// Resources that this process may use: processor, cores, memory, disk, and the kernel features that
// a sandbox is built from. Linux only. Facts are read from /proc and /sys below `root`, so a test
// can supply its own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace longshot {

struct Machine {
  std::string cpu_model;
  std::set<std::string> cpu_flags;  // as in /proc/cpuinfo: "avx2", "avx512_vnni", "amx_tile", ...
  int cores = 0;                    // of this process: affinity mask
  std::optional<double> cpu_quota;  // cores' worth of time that the cgroup allows, if limited
  uint64_t memory_total = 0;        // bytes
  uint64_t memory_available = 0;    // bytes, estimated by the kernel
  std::optional<uint64_t> memory_limit;  // bytes, of the cgroup, if limited
  int cgroup_version = 0;                // 0: none mounted
  // Child groups can be created, with limits for memory and processes.
  bool cgroup_writable = false;
  std::set<std::string> cgroup_controllers;
  bool seccomp_filters = false;
  std::vector<std::string> nvidia_gpus;  // model names from the kernel driver
};

Machine inspect_machine(const std::filesystem::path& root = "/");

// Number of threads worth starting: limited by affinity and cgroup quota, at least 1.
int usable_cores(const Machine& machine);
// The available memory or the cgroup's limit, whichever is smaller, in bytes.
uint64_t usable_memory(const Machine& machine);

// The most memory that this process has had resident so far, in GiB.
double peak_memory_gib();
// The same, but since the last call of this function: the peak of a phase. Where the kernel does
// not let a process begin anew, it is the peak so far.
double take_peak_memory_gib();

// This machine's name in the network; "localhost" if it has none.
std::string host_name();

// True if a process may create its own user, mount, pid and network namespaces; tried in a child.
bool can_make_namespaces();
// The path of a process's cgroup below its mount point, from the text of /proc/PID/cgroup:
// "0::/path" (version 2, selected by an empty controller) or "5:memory:/path" (version 1). Returns
// "/" if there is none.
std::string cgroup_path(const std::string& cgroups, const std::string& controller);
// The program's full path; empty if PATH does not contain it.
std::string find_in_path(const std::string& program);

}  // namespace longshot

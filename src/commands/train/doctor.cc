// longshot doctor: reports what this machine offers, one line per fact, with advice where it falls
// short, the needs of a run, and whether a worker of a run on many machines could work here.

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "base/bytes.h"
#include "base/finding.h"
#include "base/os/machine.h"
#include "base/os/subprocess.h"
#include "commands/cluster/access_flags.h"
#include "commands/command.h"
#include "commands/train/plan.h"
#include "commands/train/train.h"
#include "loop/cluster/diagnosis.h"
#include "sandbox/pool.h"

namespace longshot::commands {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, " "));
}

Finding check_build() {
#ifdef __clang__
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  const std::string type = LONGSHOT_BUILD_TYPE;
  const bool optimized = type == "Release" || type == "RelWithDebInfo";
  return {"build", optimized,
          fmt::format("longshot {}, {}, {} build", LONGSHOT_VERSION, compiler, type),
          "this build is slow; use the release preset"};
}

Finding check_cores(const Machine& machine) {
  std::string detail = fmt::format("{}, {} usable cores", machine.cpu_model, usable_cores(machine));
  if (machine.cpu_quota) detail += fmt::format(" (cgroup quota {:.2g})", *machine.cpu_quota);
  return {"cpu", true, detail, ""};
}

Finding check_simd(const Machine& machine) {
  std::vector<std::string> present, missing;
  for (const char* flag : {"avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16",
                           "amx_bf16", "asimd", "bf16", "sve"}) {
    if (machine.cpu_flags.count(flag) > 0) present.push_back(flag);
  }
  for (const char* flag : {"avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"}) {
    if (machine.cpu_flags.count(flag) == 0) missing.push_back(flag);
  }
  const bool fast = machine.cpu_flags.count("avx2") > 0 || machine.cpu_flags.count("asimd") > 0;
  std::string detail = present.empty() ? "none of the known extensions" : joined(present);
  if (machine.cpu_flags.count("avx2") > 0 && !missing.empty())
    detail += "; not: " + joined(missing);
  return {"simd", fast, detail,
          "without AVX2 or ASIMD rollouts on the CPU are several times slower"};
}

Finding check_memory(const Machine& machine) {
  std::string detail = fmt::format("{:.1f} GiB, {:.1f} GiB available", machine.memory_total / kGiB,
                                   machine.memory_available / kGiB);
  if (machine.memory_limit)
    detail += fmt::format(", cgroup limit {:.1f} GiB", *machine.memory_limit / kGiB);
  return {
      "memory", usable_memory(machine) >= 2 * kGiB, detail,
      "less than 2 GiB are usable; only tiny models fit, end other programs or raise the limit"};
}

Finding check_disk() {
  std::error_code error;
  const auto space = std::filesystem::space(".", error);
  if (error)
    return {"disk", false, "cannot be read: " + error.message(), "run in a folder that exists"};
  return {"disk", space.available >= 5 * kGiB,
          fmt::format("{:.0f} GiB free in this folder", space.available / kGiB),
          "a checkpoint takes about 16 bytes a parameter; free some space or put runs elsewhere"};
}

Finding check_namespaces() {
  const bool possible = can_make_namespaces();
  return {"namespaces", possible, possible ? "user, mount, pid and network" : "cannot be made here",
          "untrusted code cannot be isolated; set kernel.unprivileged_userns_clone=1 and "
          "kernel.apparmor_restrict_unprivileged_userns=0, or run the container with fewer "
          "restrictions"};
}

Finding check_cgroup(const Machine& machine) {
  const std::vector<std::string> names(machine.cgroup_controllers.begin(),
                                       machine.cgroup_controllers.end());
  const std::string detail =
      machine.cgroup_version == 0
          ? "not mounted"
          : fmt::format("version {}, {}{}", machine.cgroup_version,
                        machine.cgroup_writable ? "writable" : "not writable",
                        names.empty() ? "" : ", controllers " + joined(names));
  return {"cgroup", machine.cgroup_writable, detail,
          "memory and process limits of untrusted code need writable cgroups with memory and pids; "
          "start in "
          "`systemd-run --user --scope -p Delegate=yes`, or mount one into the container"};
}

Finding check_seccomp(const Machine& machine) {
  return {"seccomp", machine.seccomp_filters, machine.seccomp_filters ? "filters" : "no filters",
          "system calls of untrusted code cannot be restricted; use a kernel with "
          "CONFIG_SECCOMP_FILTER"};
}

constexpr const char* kSandboxAdvice =
    "see namespaces and seccomp; a container needs the options of docs/sandbox.md, \"In a "
    "container\"";

// Starts a jail and runs a program in it.
Finding check_sandbox() {
  sandbox::PoolOptions options;
  options.slots = 1;
  options.use_groups = false;  // groups are checked separately, without creating any
  const auto pool = sandbox::Pool::start(options);
  if (!pool.ok()) return {"sandbox", false, pool.status().message(), kSandboxAdvice};
  sandbox::Job job;
  job.argv = {"/bin/sh", "-c", ":"};
  const auto outcome = (*pool)->run(job, sandbox::Lane::native, {});
  if (!outcome.ok() || outcome->ending != sandbox::Ending::ok) {
    return {"sandbox", false,
            "a program cannot be run: " +
                (outcome.ok() ? outcome->message : outcome.status().message()),
            kSandboxAdvice};
  }
  const sandbox::GroupSupport groups = sandbox::find_groups(false);
  std::string detail = "works";
  detail += (*pool)->isolation().two_ids ? ", supervisor with a user id of its own"
                                         : ", supervisor with the program's user id";
  detail +=
      groups.memory ? ", memory limited by control group" : ", memory limited a process by rlimit";
  return {
      "sandbox", groups.memory, detail,
      "see cgroup; without one a program of several processes can take more memory than its limit"};
}

// The file that the dynamic linker loaded for a library.
std::string loaded_library(const std::string& name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t slash = line.find('/');
    if (slash != std::string::npos && line.find("/" + name) != std::string::npos)
      return line.substr(slash);
  }
  return "";
}

Finding check_libtorch() {
  const std::string path = loaded_library("libtorch_cpu.so");
  return {"libtorch", !path.empty(),
          fmt::format("{}, kernels {}, {} threads, {}", TORCH_VERSION, at::get_cpu_capability(),
                      at::get_num_threads(), path),
          "the library is not loaded; rebuild after tools/setup"};
}

Finding check_cuda(const Machine& machine) {
  const bool linked = c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA);
  const int devices =
      linked ? c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->deviceCount() : 0;
  const std::string gpus = fmt::format("{}", fmt::join(machine.nvidia_gpus, ", "));
  std::string detail =
      linked ? fmt::format("libtorch has it, {} devices", devices) : "libtorch is a CPU build";
  if (!gpus.empty()) detail += "; driver sees " + gpus;
  const std::string advice =
      linked ? "libtorch finds no device for the driver's GPUs; update the driver"
             : "the GPU is not used: run tools/setup with a CUDA wheel of torch and rebuild";
  return {"cuda", machine.nvidia_gpus.empty() || devices > 0, detail, advice};
}

std::vector<Finding> examine() {
  const Machine machine = inspect_machine();
  return {check_build(),         check_cores(machine),   check_simd(machine), check_memory(machine),
          check_disk(),          check_libtorch(),       check_cuda(machine), check_namespaces(),
          check_cgroup(machine), check_seccomp(machine), check_sandbox()};
}

struct Options {
  bool json = false;
  PlanArguments plan;
  loop::DiagnosisOptions run;  // on many machines
};

void print(const std::vector<Finding>& findings, const Options& options) {
  fmt::print("{}", options.json ? to_json(findings) : to_text(findings));
}

Status examine_machine(const Options& options) {
  if (options.plan.any_option())
    return invalid_argument(
        "--model, --response-length, --response-spread, --flat-groups, --hosts, --workers, "
        "--trainers, --measured and overrides go with --plan CONFIG");
  print(examine(), options);
  return ok_status();
}

Status examine_cluster(const Options& options, int& exit_code) {
  if (!options.plan.file.empty()) {
    return invalid_argument(
        "--plan and --cluster exclude one another: --cluster examines a worker of a run that is "
        "active, and --plan with --hosts or --workers predicts a run on many machines");
  }
  LS_ASSIGN_OR_RETURN(const auto findings, loop::diagnose_cluster(options.run));
  print(findings, options);
  exit_code = any_stops(findings) ? 1 : 0;
  return ok_status();
}

// Returns the exit code.
int run(const Options& options) {
  int found = 0;
  const int code = finish([&]() -> Status {
    if (!options.run.access.url.empty()) return examine_cluster(options, found);
    return options.plan.file.empty() ? examine_machine(options)
                                     : print_plan(options.plan, options.json);
  });
  return code != 0 ? code : found;
}

void add_cluster_flags(CLI::App& command, loop::DiagnosisOptions& options) {
  command.add_option("--cluster", options.access.url,
                     "etcd://HOST:PORT/NAME: whether a worker could work here for this run; exit "
                     "code 1 if not");
  add_etcd_flags(command, options.access);
  command.add_option("--weights-dir", options.weights_dir,
                     "with --cluster: folder for the weights, as for the worker");
  command.add_option("--device", options.device, "with --cluster: where the worker computes")
      ->capture_default_str();
}

}  // namespace

void add_doctor(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor",
                                         "Show what this machine offers, with --plan what a run "
                                         "needs, with --cluster whether a worker "
                                         "could work here");
  command->add_flag("--json", options->json, "Print one JSON object");
  add_plan_flags(*command, options->plan);
  add_cluster_flags(*command, options->run);
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace longshot::commands

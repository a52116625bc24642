#include "sandbox/pool.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "base/os/machine.h"
#include "base/os/subprocess.h"
#include "base/thread_pool.h"

namespace longshot::sandbox {
namespace {

namespace fs = std::filesystem;

// Above the ids that systemd gives to containers and below the kernel's reserved ones. Each slot
// uses two.
constexpr unsigned kFirstId = 1879048192 + (1 << 16);
constexpr auto kTick = std::chrono::milliseconds(20);

// Checks capabilities instead of the user id: containers may remove them from root.
bool has_roots_rights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  for (const int capability : {CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID}) {
    if ((data[0].effective & (1u << capability)) == 0) return false;
  }
  return true;
}

std::string own_directory() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().string();
}

bool is_below(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

std::string default_python() {
  const std::string system = "/usr/bin/python3";
  return ::access(system.c_str(), X_OK) == 0 ? system : find_in_path("python3");
}

// Removes directories that lie below another one or below /usr, because they would be mounted
// twice.
void keep_outermost(std::vector<std::string>& directories) {
  std::sort(directories.begin(), directories.end());
  std::vector<std::string> kept;
  for (const std::string& directory : directories) {
    const bool shown = std::any_of(kept.begin(), kept.end(), [&](const std::string& parent) {
      return is_below(directory, parent);
    });
    if (!shown && !is_below(directory, "/usr")) kept.push_back(directory);
  }
  directories = std::move(kept);
}

Status check_directory(const std::string& directory) {
  const fs::path path(directory);
  std::error_code error;
  if (!path.is_absolute() || !path.has_filename() || path != path.lexically_normal() ||
      !fs::is_directory(path, error)) {
    return invalid_argument(
        fmt::format("'{}' is not the full path of a directory below /", directory));
  }
  for (const char* own : {"/dev", "/proc", "/box", "/.jail"}) {
    if (is_below(directory, own))
      return invalid_argument(
          fmt::format("'{}' cannot be shown: {} is the jail's own", directory, own));
  }
  return ok_status();
}

// Returns the interpreter's full path (a jail has neither this working directory nor a PATH) and
// the directories that it needs.
Result<std::vector<std::string>> ask_interpreter(const std::string& python) {
  SubprocessOptions options;
  options.argv = {python, "-s", "-c",
                  "import os, sys; own = sys.executable, sys.prefix, sys.base_prefix, "
                  "os.path.dirname(os.path.realpath(sys.executable))\n"
                  "for path in own: print(os.path.abspath(path))"};
  LS_ASSIGN_OR_RETURN(const ProcessOutput ran,
                      run_process(options, "", Deadline::after_seconds(20)));
  std::vector<std::string> lines;
  std::istringstream stream(ran.out);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  if (ran.exit.success() && lines.size() == 4) return lines;
  return invalid_argument(fmt::format("{} does not run: {}", python, ran.exit.to_string()));
}

}  // namespace

Pool::Pool(PoolOptions options, GroupSupport groups)
    : options_(std::move(options)), groups_(groups) {
  isolation_.groups = std::move(groups);
  isolation_.two_ids = has_roots_rights();
}

Result<std::unique_ptr<Pool>> Pool::start(const PoolOptions& options) {
  const GroupSupport groups = options.use_groups ? find_groups(true) : GroupSupport();
  const int left = sweep_groups(groups);
  if (left > 0) log::info("removed {} control groups that a killed service left", left);
  std::unique_ptr<Pool> pool(new Pool(options, groups));
  LS_RETURN_IF_ERROR(pool->prepare());
  LS_RETURN_IF_ERROR(pool->start_slots());
  return pool;
}

Status Pool::prepare() {
  if (options_.slots <= 0) options_.slots = 2 * usable_cores(inspect_machine());
  if (options_.jail_directory.empty()) options_.jail_directory = own_directory();
  if (options_.python.empty()) options_.python = default_python();
  if (!options_.python.empty()) {
    LS_ASSIGN_OR_RETURN(const auto found, ask_interpreter(options_.python));
    options_.python = found[0];
    options_.directories.insert(options_.directories.end(), found.begin() + 1, found.end());
  }
  for (const std::string& directory : options_.directories)
    LS_RETURN_IF_ERROR(check_directory(directory));
  keep_outermost(options_.directories);
  for (const char* name : {"longshot-jail", "liblongshot_lane.so"}) {
    const std::string path = options_.jail_directory + "/" + name;
    if (::access(path.c_str(), R_OK) != 0)
      return not_found(fmt::format("{} is missing; it belongs next to the longshot program", path));
  }
  return ok_status();
}

Status Pool::start_slots() {
  places_.resize(options_.slots);
  for (int i = 0; i < options_.slots; ++i) {
    SlotOptions& slot = places_[i].options;
    slot.jail = options_.jail_directory + "/longshot-jail";
    slot.library = options_.jail_directory + "/liblongshot_lane.so";
    slot.python = has_python_lane() ? options_.python : "";
    slot.directories = options_.directories;
    slot.keeper_id = isolation_.two_ids ? kFirstId + 2 * i : 0;
    LS_ASSIGN_OR_RETURN(slot.groups, groups_.make(i));
  }
  std::vector<Status> started(places_.size());
  ThreadPool(usable_cores(inspect_machine())).parallel_for(options_.slots, [&](int i) {
    auto slot = Slot::start(places_[i].options);
    if (slot.ok()) places_[i].slot = std::move(*slot);
    started[i] = slot.status();
  });
  for (const Status& status : started)
    LS_RETURN_IF_ERROR(status.with_context("sandbox (`longshot doctor` says what it needs)"));
  for (Place& place : places_) free_.push_back(&place);
  stats_.slots = options_.slots;
  return ok_status();
}

Result<Pool::Place*> Pool::acquire(const std::function<bool()>& cancelled_now) {
  std::unique_lock lock(mutex_);
  if (!free_.empty()) {
    Place* place = free_.back();
    free_.pop_back();
    ++stats_.busy;
    return place;
  }
  if (static_cast<int>(waiting_.size()) >= options_.max_waiting) {
    ++stats_.refused;
    return exhausted(fmt::format("{} programs wait for a place already", waiting_.size()));
  }
  Waiter waiter;
  const auto self = waiting_.insert(waiting_.end(), &waiter);
  while (waiter.place == nullptr) {
    waiter.wake.wait_for(lock, kTick);
    if (waiter.place == nullptr && cancelled_now && cancelled_now()) {
      waiting_.erase(self);
      ++stats_.cancelled;
      return cancelled("cancelled while it waited");
    }
  }
  return waiter.place;
}

void Pool::release(Place* place) {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    free_.push_back(place);
    --stats_.busy;
    return;
  }
  Waiter* next = waiting_.front();
  waiting_.pop_front();
  next->place = place;
  next->wake.notify_one();
}

Result<Outcome> Pool::run_once(Place& place, const Job& job, Lane lane,
                               const std::function<bool()>& cancelled_now) {
  if (place.slot == nullptr) {
    {
      std::lock_guard lock(mutex_);
      ++stats_.restarts;
    }
    LS_ASSIGN_OR_RETURN(place.slot, Slot::start(place.options));
  }
  auto outcome = place.slot->run(job, lane, cancelled_now);
  if (!outcome.ok() && outcome.status().code() != StatusCode::cancelled) place.slot.reset();
  return outcome;
}

Result<Outcome> Pool::run(const Job& job, Lane lane, const std::function<bool()>& cancelled_now) {
  LS_ASSIGN_OR_RETURN(Place * place, acquire(cancelled_now));
  Result<Outcome> outcome = Outcome();
  for (int attempt = 0; attempt <= options_.retries; ++attempt) {
    outcome = run_once(*place, job, lane, cancelled_now);
    const bool fault = outcome.ok() ? outcome->ending == Ending::internal
                                    : outcome.status().code() != StatusCode::cancelled;
    if (!fault) break;
    const std::string& why = outcome.ok() ? outcome->message : outcome.status().message();
    log::warn("sandbox fault, attempt {}: {}", attempt + 1, why);
    std::lock_guard lock(mutex_);
    ++stats_.faults;
  }
  release(place);
  {
    std::lock_guard lock(mutex_);
    ++stats_.runs;
    stats_.cancelled += !outcome.ok() && outcome.status().code() == StatusCode::cancelled;
  }
  if (!outcome.ok() && outcome.status().code() != StatusCode::cancelled) {
    Outcome fault;
    fault.message = outcome.status().message();
    return fault;
  }
  return outcome;
}

PoolStats Pool::stats() const {
  std::lock_guard lock(mutex_);
  PoolStats stats = stats_;
  stats.waiting = static_cast<int>(waiting_.size());
  return stats;
}

}  // namespace longshot::sandbox

#include "sandbox/sandbox.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "sandbox/wire.h"

namespace longshot::sandbox {
namespace {

constexpr size_t kCacheBytes = 256 << 20;
constexpr uint64_t kMaxBinary = 64 << 20;

// Checks that the request's files and those of the language can all be created.
Status check_paths(const RunRequest& request, const Language& language) {
  std::set<std::string> taken = {language.source};
  if (!language.binary.empty()) taken.insert(language.binary);
  const auto refuse = [](const std::string& path, const std::string& why) {
    return invalid_argument(fmt::format("file '{}' {}", path, why));
  };
  for (const std::string& path : request.fetch) {
    if (!is_plain_path(path)) return refuse(path, "is not below the working directory");
  }
  for (const File& file : request.program.files) {
    if (!is_plain_path(file.path)) return refuse(file.path, "is not below the working directory");
    if (!taken.insert(file.path).second) return refuse(file.path, "is there twice");
  }
  for (const std::string& path : taken) {
    for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      if (taken.contains(path.substr(0, slash))) return refuse(path, "is below another file");
    }
  }
  return ok_status();
}

Status check_sizes(const RunRequest& request) {
  uint64_t bytes = request.program.code.size();
  for (const File& file : request.program.files) bytes += file.content.size();
  if (bytes > request.limits.disk_bytes / 2 || bytes > request.limits.memory_bytes / 4)
    return invalid_argument(
        fmt::format("code and files of {} bytes need more disk or memory", bytes));
  if (request.input.size() > request.limits.memory_bytes / 4)
    return invalid_argument(
        fmt::format("stdin of {} bytes needs more memory", request.input.size()));
  return ok_status();
}

// Everything that the compiler sees, so that equal keys mean equal binaries.
std::string cache_key(const Language& language, const Program& program) {
  Job job;
  job.argv = language.compile;
  job.input = program.code;
  job.files = program.files;
  return encode(job);
}

// Turns a failure of the compiler that the program caused into a compile error.
void call_it_compile_error(Outcome& outcome) {
  if (outcome.ending == Ending::ok || outcome.ending == Ending::internal) return;
  outcome.ending = Ending::compile;
  outcome.message = "compiler: " + outcome.message;
}

}  // namespace

Limits default_compile_limits() {
  Limits limits;
  limits.set_processor_time(20);
  limits.memory_bytes = 1 << 30;
  limits.processes = 32;
  limits.disk_bytes = 256 << 20;
  limits.file_bytes = kMaxBinary;
  return limits;
}

bool is_plain_path(const std::string& path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/' || path.back() == '/') return false;
  if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return c < 32 || c == 127; }))
    return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    begin = end + 1;
  }
  return true;
}

std::shared_ptr<const std::string> CompileCache::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->binary;
}

void CompileCache::insert(const std::string& key, std::shared_ptr<const std::string> binary) {
  std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  entries_.push_front({key, std::move(binary)});
  by_key_[entries_.front().key] = entries_.begin();
  bytes_ += entries_.front().bytes();
  while (bytes_ > max_bytes_ && entries_.size() > 1) {
    bytes_ -= entries_.back().bytes();
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

size_t CompileCache::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

Sandbox::Sandbox(std::unique_ptr<Pool> pool)
    : pool_(std::move(pool)),
      languages_(installed_languages(pool_->python(), pool_->directories())),
      cache_(kCacheBytes) {}

Result<std::unique_ptr<Sandbox>> Sandbox::create(const PoolOptions& options) {
  LS_ASSIGN_OR_RETURN(auto pool, Pool::start(options));
  return std::unique_ptr<Sandbox>(new Sandbox(std::move(pool)));
}

Result<std::shared_ptr<const std::string>> Sandbox::compile(const Language& language,
                                                            const RunRequest& request,
                                                            const Cancelled& cancelled,
                                                            RunReport& report) {
  const std::string key = cache_key(language, request.program);
  if (auto known = cache_.find(key)) return known;
  Job job;
  job.argv = language.compile;
  job.files = request.program.files;
  job.files.push_back({language.source, request.program.code, false});
  job.fetch = {language.binary};
  job.limits = request.compile_limits;
  LS_ASSIGN_OR_RETURN(report.compile, pool_->run(job, Lane::native, cancelled));
  Outcome& outcome = *report.compile;
  call_it_compile_error(outcome);
  if (outcome.ending == Ending::ok && outcome.files.empty()) {
    outcome.ending = Ending::compile;
    outcome.message = "compiler: it made no program, or one that is too large";
  }
  if (outcome.ending != Ending::ok) return std::shared_ptr<const std::string>();
  auto binary = std::make_shared<const std::string>(std::move(outcome.files[0].content));
  outcome.files.clear();
  cache_.insert(key, binary);
  return binary;
}

Result<Outcome> Sandbox::start(const Language& language, const RunRequest& request,
                               std::shared_ptr<const std::string> binary,
                               const Cancelled& cancelled) {
  const bool warm = language.warm && pool_->has_python_lane();
  Job job;
  // A warm interpreter is given only the script.
  job.argv.assign(language.run.begin() + (warm ? 1 : 0), language.run.end());
  job.argv.insert(job.argv.end(), request.program.arguments.begin(),
                  request.program.arguments.end());
  job.input = request.input;
  job.files = request.program.files;
  if (binary != nullptr) {
    job.files.push_back({language.binary, *binary, true});
  } else {
    job.files.push_back({language.source, request.program.code, false});
  }
  job.fetch = request.fetch;
  job.fetch_bytes = request.fetch_bytes;
  job.limit_address_space = language.limit_address_space;
  job.limits = request.limits;
  return pool_->run(job, warm ? Lane::python : Lane::native, cancelled);
}

Result<RunReport> Sandbox::run(const RunRequest& request, const Cancelled& cancelled) {
  const Language* language = find_language(languages_, request.program.language);
  if (language == nullptr) {
    return invalid_argument(fmt::format("language '{}' is not offered here; there are {}",
                                        request.program.language, language_names(languages_)));
  }
  LS_RETURN_IF_ERROR(check_paths(request, *language));
  LS_RETURN_IF_ERROR(check_sizes(request));
  RunReport report;
  std::shared_ptr<const std::string> binary;
  if (!language->compile.empty()) {
    LS_ASSIGN_OR_RETURN(binary, compile(*language, request, cancelled, report));
    if (binary == nullptr) return report;
  }
  LS_ASSIGN_OR_RETURN(report.run, start(*language, request, std::move(binary), cancelled));
  return report;
}

}  // namespace longshot::sandbox

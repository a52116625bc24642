#pragma once
// Compiles programs of several languages once and runs them in jails.

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "sandbox/languages.h"
#include "sandbox/pool.h"

namespace longshot::sandbox {

struct Program {
  std::string language;
  std::string code;
  std::vector<File> files;             // in the folder of the code, also during compilation
  std::vector<std::string> arguments;  // after the program's own name
};

struct RunRequest {
  Program program;
  std::string input;
  std::vector<std::string> fetch;
  uint64_t fetch_bytes = Job().fetch_bytes;
  Limits limits, compile_limits;
};

struct RunReport {
  std::optional<Outcome> compile;  // none: the language has no compiler, or the binary was cached
  std::optional<Outcome> run;      // none: compiling failed
  const Outcome& last() const { return run ? *run : *compile; }
};

// Limits for a compiler, which needs more than a small program.
Limits default_compile_limits();

// True for a name that is allowed in Job::files: relative, without empty, "." or ".." parts and
// without control characters.
bool is_plain_path(const std::string& path);

// Caches binaries by the exact text that they were compiled from and evicts the least recently used
// ones. Thread-safe.
class CompileCache {
 public:
  explicit CompileCache(size_t max_bytes) : max_bytes_(max_bytes) {}
  std::shared_ptr<const std::string> find(const std::string& key);
  void insert(const std::string& key, std::shared_ptr<const std::string> binary);
  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const std::string> binary;
    size_t bytes() const { return key.size() + binary->size(); }
  };
  const size_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the least recently used last
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
  size_t bytes_ = 0;
};

// Thread-safe.
class Sandbox {
 public:
  using Cancelled = std::function<bool()>;  // called often; empty: never cancelled

  static Result<std::unique_ptr<Sandbox>> create(const PoolOptions& options);

  // Errors: invalid_argument for an unknown language or an invalid path or size; exhausted and
  // cancelled as in Pool::run. A fault of the sandbox is a report whose ending is XX.
  Result<RunReport> run(const RunRequest& request, const Cancelled& cancelled);

  const std::vector<Language>& languages() const { return languages_; }
  const Pool& pool() const { return *pool_; }

 private:
  explicit Sandbox(std::unique_ptr<Pool> pool);
  Result<std::shared_ptr<const std::string>> compile(const Language& language,
                                                     const RunRequest& request,
                                                     const Cancelled& cancelled, RunReport& report);
  Result<Outcome> start(const Language& language, const RunRequest& request,
                        std::shared_ptr<const std::string> binary, const Cancelled& cancelled);

  const std::unique_ptr<Pool> pool_;
  const std::vector<Language> languages_;
  CompileCache cache_;
};

}  // namespace longshot::sandbox

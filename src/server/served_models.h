#pragma once
// The names that requests may ask for: a base model, and adapters that are computed beside it.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "rollout/engine_thread.h"

namespace longshot::server {

struct ServedModel {
  std::string name;
  std::string root = {};    // where its files are
  std::string parent = {};  // the name of an adapter's base; empty: it is the base
  int64_t created = 0;      // unix time
  // Null: the base.
  std::shared_ptr<const rollout::RunnerAdapter> adapter = nullptr;
};

// The folder of the adapter that `path` names, which may be a run folder or a checkpoint
// (model/format/model_path.h). Error: there is no adapter.
Result<std::string> find_adapter(const std::string& path);

// Thread-safe. A ServedModel that is held stays usable after it was unloaded.
class ServedModels {
 public:
  using Model = std::shared_ptr<const ServedModel>;

  explicit ServedModels(ServedModel base) : base_(std::make_shared<ServedModel>(std::move(base))) {}

  const ServedModel& base() const { return *base_; }
  Model find(const std::string& name) const;  // null: there is no such model
  std::vector<Model> list() const;            // the base first, then the adapters by name
  std::string names() const;                  // "base, one, two"

  // Later loads fail if more adapters than this would be in memory. Those that requests still use
  // after they were unloaded or replaced count; one that is being replaced does not. Call this
  // before other threads load.
  void limit_adapters(size_t most) { most_ = most; }

  // Reads an adapter and serves it under this name. `config`: of the base model, whose engine is
  // `worker`. With `replace` the name may be that of an adapter, which is replaced; requests that
  // have begun with the old one end with it. Error: the name is empty or taken, or the adapter
  // cannot be served beside the base; exhausted: there are too many. Then nothing has changed. One
  // load at a time.
  Status load(const std::string& name, const std::string& path, bool replace,
              const model::ModelConfig& config, rollout::EngineThread& worker);
  // Takes the name away and returns what it named, for the caller to wait until others release it.
  // Error: not_found; or the name is the base's.
  Result<std::weak_ptr<const rollout::RunnerAdapter>> unload(const std::string& name);

 private:
  Status check_name(const std::string& name, bool replace) const;
  Status check_count(bool replaces);
  void retire(const Model& model);  // with mutex_

  const Model base_;
  std::mutex loading_;
  size_t most_ = std::numeric_limits<size_t>::max();
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, Model> adapters_;
  // Adapters without a name. Requests may still use them.
  std::vector<std::weak_ptr<const rollout::RunnerAdapter>> retired_;
};

}  // namespace longshot::server

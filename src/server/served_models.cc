#include "server/served_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/clock.h"
#include "model/format/adapters/adapter.h"
#include "model/format/model_path.h"

namespace longshot::server {
namespace {

void tell(const ServedModel& model, const model::Adapter& adapter) {
  int rank = 0;
  for (const model::AdapterPair& pair : adapter.pairs) rank = std::max(rank, pair.lora.rank);
  log::info("adapter '{}' from {}: rank {}, {} linear layers, {:.1f} MiB{}", model.name, model.root,
            rank, adapter.pairs.size(), static_cast<double>(model.adapter->bytes()) / kMiB,
            adapter.base.empty() ? "" : ", made for '" + adapter.base + "'");
}

}  // namespace

Result<std::string> find_adapter(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return not_found("there is no adapter '" + path + "'");
  LS_ASSIGN_OR_RETURN(std::string directory, model::find_model(path));
  if (model::is_adapter_directory(directory)) return directory;
  return invalid_argument(directory +
                          " is not an adapter: it has no adapter_config.json (a directory of the "
                          "peft package is expected)");
}

ServedModels::Model ServedModels::find(const std::string& name) const {
  if (name == base_->name) return base_;
  std::lock_guard lock(mutex_);
  const auto found = adapters_.find(name);
  return found == adapters_.end() ? nullptr : found->second;
}

std::vector<ServedModels::Model> ServedModels::list() const {
  std::vector<Model> models{base_};
  std::lock_guard lock(mutex_);
  for (const auto& [name, model] : adapters_) models.push_back(model);
  return models;
}

std::string ServedModels::names() const {
  std::vector<std::string> names;
  for (const Model& model : list()) names.push_back(model->name);
  return fmt::format("{}", fmt::join(names, ", "));
}

Status ServedModels::check_name(const std::string& name, bool replace) const {
  if (name.empty() || std::ranges::any_of(name, [](unsigned char c) { return c < ' '; }))
    return invalid_argument("the name of an adapter is empty or has control characters");
  if (name == base_->name)
    return invalid_argument("'" + name + "' is the name of the base model; choose another name");
  if (replace || find(name) == nullptr) return ok_status();
  return invalid_argument("an adapter with the name '" + name + "' is already loaded");
}

Status ServedModels::check_count(bool replaces) {
  std::lock_guard lock(mutex_);
  std::erase_if(retired_, [](const auto& adapter) { return adapter.expired(); });
  const size_t in_use = adapters_.size() + retired_.size();
  if (in_use + (replaces ? 0 : 1) <= most_) return ok_status();
  return exhausted(fmt::format(
      "the server holds {} adapters{}, and --max-loras allows {}: unload one first, or start the "
      "server with a larger --max-loras",
      in_use,
      retired_.empty() ? "" : fmt::format(", {} of them for requests in flight", retired_.size()),
      most_));
}

void ServedModels::retire(const Model& model) {
  retired_.emplace_back(model->adapter);
}

Status ServedModels::load(const std::string& name, const std::string& path, bool replace,
                          const model::ModelConfig& config, rollout::EngineThread& worker) {
  std::lock_guard one_at_a_time(loading_);
  LS_RETURN_IF_ERROR(check_name(name, replace));
  LS_RETURN_IF_ERROR(check_count(/*replaces=*/find(name) != nullptr));
  LS_ASSIGN_OR_RETURN(const std::string directory, find_adapter(path));
  LS_ASSIGN_OR_RETURN(const model::Adapter adapter,
                      model::read_adapter(directory, config, model::AdapterUse::serve));
  auto prepared = worker.prepare_adapter(adapter);
  if (!prepared.ok()) return prepared.status().with_context(directory);
  auto model = std::make_shared<ServedModel>(
      ServedModel{name, path, base_->name, static_cast<int64_t>(unix_time()), *prepared});
  tell(*model, adapter);
  std::lock_guard lock(mutex_);
  Model& named = adapters_[name];
  if (named != nullptr) retire(named);
  named = std::move(model);
  return ok_status();
}

Result<std::weak_ptr<const rollout::RunnerAdapter>> ServedModels::unload(const std::string& name) {
  if (name == base_->name)
    return invalid_argument("'" + name + "' is the base model, which cannot be unloaded");
  std::lock_guard lock(mutex_);
  const auto found = adapters_.find(name);
  if (found == adapters_.end())
    return not_found("there is no adapter with the name '" + name + "'");
  std::weak_ptr<const rollout::RunnerAdapter> adapter = found->second->adapter;
  retire(found->second);
  adapters_.erase(found);
  return adapter;
}

}  // namespace longshot::server

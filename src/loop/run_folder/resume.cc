#include "loop/run_folder/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/sampled_checksum.h"
#include "base/settings/config_changes.h"
#include "datasets/files.h"
#include "model/format/adapters/adapter.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

// Settings that a saved state depends on: with another value the state could not be loaded, or the
// new value would have no effect.
const std::set<std::string> kFixed = {"model.lora_rank",     "model.lora_alpha",
                                      "model.lora_targets",  "model.lora_adapter_path",
                                      "model.freeze",        "model.hidden_size",
                                      "model.num_layers",    "model.num_heads",
                                      "model.num_kv_heads",  "model.intermediate_size",
                                      "model.max_positions", "optim.moments",
                                      "trainer.seed",        "data.max_length",
                                      "sft.batch_tokens",    "rm.batch_tokens",
                                      "dpo.batch_tokens",    "dpo.reference_model"};
// Inputs whose content may change, because the keys that name them may change too.
const std::set<std::string> kFree = {"algorithm.kl_reference", "data.val_files"};
// Settings that may change only if the user names the checkpoint.
const std::set<std::string> kChosen = {"algorithm.name"};

// Blocks of 64 KiB that are read of a large input file.
constexpr size_t kSamples = 256;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string saved_config(const Checkpoint& checkpoint) {
  return json_get<std::string>(checkpoint.state, "config", checkpoint.directory).value();
}

// True if the configurations are equal except for the keys in `free`.
bool same_config(const std::string& before, const std::string& now,
                 const std::set<std::string>& free) {
  if (before.empty()) return false;
  const auto changes = config_changes(before, now);
  return changes.ok() && std::all_of(changes->begin(), changes->end(),
                                     [&](const auto& change) { return free.contains(change.key); });
}

Status none_usable(const CheckpointStore& store, const std::vector<std::string>& reasons) {
  return corrupt(fmt::format(
      "{} holds a run of which no checkpoint can be used; nothing was changed:\n  {}\nPut one of "
      "them back from a copy, or name another trainer.default_local_dir to start from the "
      "beginning",
      store.run_directory(), fmt::join(reasons, "\n  ")));
}

// Returns the newest usable checkpoint of the current course; none in a folder without checkpoints.
Result<std::optional<Checkpoint>> newest_usable(const CheckpointStore& store, bool quiet) {
  const auto latest = store.latest();
  std::vector<std::string> reasons;
  auto iterations = store.iterations();
  if (latest && !std::ranges::count(iterations, *latest))
    reasons.push_back(
        fmt::format("global_step_{} is missing, which "
                    "latest_checkpointed_iteration.txt names",
                    *latest));
  for (const int64_t iteration : iterations) {
    if (latest && iteration > *latest) {
      reasons.push_back(
          fmt::format("global_step_{} is newer than what "
                      "latest_checkpointed_iteration.txt names",
                      iteration));
      continue;
    }
    auto checkpoint = store.open(store.directory_of(iteration));
    if (!checkpoint.ok()) {
      reasons.push_back(
          fmt::format("global_step_{}: {}", iteration, checkpoint.status().message()));
      continue;
    }
    for (const std::string& reason : reasons)
      if (!quiet) log::warn("{}: not resumed from: {}", store.run_directory(), reason);
    return std::optional(std::move(*checkpoint));
  }
  if (reasons.empty()) return std::optional<Checkpoint>();
  return none_usable(store, reasons);
}

Result<StartingPoint> chosen_starting_point(const CheckpointStore& store, const std::string& path,
                                            const std::string& config) {
  const auto newest = newest_usable(store, /*quiet=*/true);
  const bool begun = newest.ok() && newest->has_value() &&
                     same_config(saved_config(**newest), config,
                                 {"trainer.total_iterations", "trainer.total_epochs"});
  if (begun) return StartingPoint{**newest, false, false};
  auto checkpoint = store.open(path);
  if (!checkpoint.ok())
    return Status(checkpoint.status()).with_context("trainer.resume_mode=" + path);
  StartingPoint start{std::move(*checkpoint), true, false};
  std::error_code error;
  const std::string own = store.directory_of(start.checkpoint->iteration);
  start.foreign = !fs::equivalent(own, start.checkpoint->directory, error) || error;
  return start;
}

// True for files of a model directory that determine what the model computes. Subfolders are
// ignored, because they may contain anything, even the run folder.
bool is_model_file(const fs::path& name) {
  return !name.has_parent_path() && (name.extension() == ".json" || name.extension() == ".jinja" ||
                                     name.extension() == ".safetensors");
}

std::string path_fingerprint(const fs::path& path) {
  std::string text;
  std::vector<fs::path> files = {path};
  std::error_code error;
  if (fs::is_directory(path, error)) {
    files.clear();
    const auto names = list_files(path);
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>())
      if (is_model_file(name)) files.push_back(path / name);
  }
  for (const fs::path& file : files) {
    const auto sum = sampled_checksum(file, kSamples);
    if (!sum.ok()) return "";
    text += fmt::format("{:x} ", *sum);
  }
  if (files.empty() || !model::is_adapter_directory(path.string())) return text;
  const auto base = model::adapter_base(path.string());
  const bool other = base.ok() && !base->empty() && !model::is_adapter_directory(*base);
  return other ? text + path_fingerprint(*base) : text;
}

std::string command_of(const Json& inputs) {
  return inputs.contains("command") ? inputs["command"].get<std::string>() : "";
}

std::string refusal(const StartingPoint& start, const std::string& what) {
  return fmt::format(
      "{} was saved with other settings; nothing was changed: {}. Set that back to continue this "
      "run, or name another trainer.default_local_dir to start a new one",
      start.checkpoint->directory, what);
}

// `folder` is next to `from`, so the target of a relative link needs one more "..".
Status move_into(const fs::path& from, const std::string& folder) {
  LS_RETURN_IF_ERROR(make_directories(folder));
  const fs::path to = fs::path(folder) / from.filename();
  std::error_code error;
  const fs::path target = fs::read_symlink(from, error);
  if (error || target.is_absolute()) return rename_durable(from, to);
  fs::create_symlink(".." / target, to, error);
  if (error) return io_error(fmt::format("cannot link {}: {}", to.string(), error.message()));
  return remove_tree(from);
}

}  // namespace

Result<StartingPoint> find_starting_point(const CheckpointStore& store, const std::string& mode,
                                          const std::string& config) {
  if (mode != "auto" && mode != "disable") return chosen_starting_point(store, mode, config);
  if (is_there(fs::path(store.run_directory()) / kFinishedFile)) {
    return invalid_argument(store.run_directory() +
                            " holds a finished run: choose another trainer.default_local_dir");
  }
  if (mode == "disable" && (!store.iterations().empty() || store.latest())) {
    return invalid_argument(store.run_directory() +
                            " holds a run already: choose another trainer.default_local_dir, or "
                            "trainer.resume_mode=auto to continue it");
  }
  LS_ASSIGN_OR_RETURN(auto newest, newest_usable(store, /*quiet=*/false));
  return StartingPoint{std::move(newest), false, false};
}

namespace {

// True if the model.path of the checkpoint's configuration is `path` or below it.
bool began_with(const std::string& checkpoint, const std::string& path) {
  const auto state = read_json_file(checkpoint + "/state.json");
  if (!state.ok()) return false;
  const auto text = json_get<std::string>(*state, "config", checkpoint);
  if (!text.ok()) return false;
  const auto keys = config_changes("", *text);
  if (!keys.ok()) return false;
  return std::ranges::any_of(*keys, [&](const ConfigChange& key) {
    if (key.key != "model.path") return false;
    const std::string value = key.now.value_or("");
    return value == "\"" + path + "\"" || value.starts_with("\"" + path + "/");
  });
}

std::string whole_model_of(const std::string& checkpoint, const std::string& path) {
  const std::string model = checkpoint + "/huggingface";
  return is_there(model + "/config.json") && began_with(checkpoint, path) ? model : "";
}

std::string newest_model(const std::string& run_directory, const std::string& path) {
  const CheckpointStore store(run_directory, 1);
  for (const int64_t iteration : store.iterations()) {
    const std::string model = whole_model_of(store.directory_of(iteration), path);
    if (!model.empty()) return model;
  }
  return "";
}

}  // namespace

std::string checkpoint_model(const config::TrainConfig& config) {
  const config::TrainerOptions& trainer = config.trainer;
  if (trainer.never_resumes()) return "";
  return trainer.resumes_newest() ? newest_model(trainer.output, config.model.path)
                                  : whole_model_of(trainer.resume_mode, config.model.path);
}

std::string checkpoint_model(const config::OfflineConfig& config) {
  return newest_model(config.trainer.output, config.model.path);
}

Json fingerprints(const std::vector<std::pair<std::string, std::vector<std::string>>>& inputs) {
  Json out = Json::object();
  for (const auto& [key, paths] : inputs) {
    std::string text;
    const auto files = datasets::find_files(paths);  // a pattern without a match has no content
    for (const std::string& path : files.ok() ? *files : paths)
      if (!path.empty()) text += path_fingerprint(path);
    if (!text.empty()) out[key] = fmt::format("{:016x}", checksum(text));
  }
  return out;
}

Status check_settings(const StartingPoint& start, const std::string& config, const Json& inputs) {
  const Checkpoint& checkpoint = *start.checkpoint;
  const Json before = checkpoint.state.value("inputs", Json::object());
  const std::string command = command_of(before);
  if (command != command_of(inputs)) {
    return invalid_argument(
        fmt::format("{} was saved by `longshot {}`; nothing was changed: name another "
                    "trainer.default_local_dir",
                    checkpoint.directory, command));
  }
  LS_ASSIGN_OR_RETURN(const auto changes, config_changes(saved_config(checkpoint), config));
  for (const ConfigChange& change : changes) {
    const bool chosen = kChosen.contains(change.key);
    if (!kFixed.contains(change.key) && (start.chosen || !chosen)) continue;
    std::string what = to_text(change);
    if (chosen) what += "; with trainer.resume_mode=" + checkpoint.directory + " it may change";
    return invalid_argument(refusal(start, what));
  }
  const bool whole = is_there(checkpoint.directory + "/huggingface");
  for (const auto& [key, sum] : inputs.items()) {
    if (!before.contains(key) || before[key] == sum) continue;
    if (kFree.contains(key)) {
      log::warn("changed since the checkpoint: the content of {}", key);
      continue;
    }
    const bool replaceable = key == "model.path" && whole;
    if (replaceable && start.chosen) continue;
    std::string what = key + " has another content now";
    if (replaceable)
      what += "; with trainer.resume_mode=" + checkpoint.directory +
              " the checkpoint's own weights are taken";
    return invalid_argument(refusal(start, what));
  }
  for (const ConfigChange& change : changes) {
    if (change.key != "trainer.val_only")  // it changes nothing of a run
      log::warn("changed since the checkpoint: {}", to_text(change));
  }
  return ok_status();
}

Status leave_other_courses(CheckpointStore& store, const StartingPoint& start,
                           const std::string& abandoned) {
  if (!start.checkpoint) return ok_status();
  const int64_t iteration = start.checkpoint->iteration;
  std::vector<int64_t> others = store.iterations();
  if (!start.foreign) std::erase_if(others, [&](int64_t i) { return i <= iteration; });
  if (!start.foreign && store.latest() != iteration)
    LS_RETURN_IF_ERROR(store.set_latest(iteration));
  for (const int64_t other : others)
    LS_RETURN_IF_ERROR(move_into(store.directory_of(other), abandoned));
  if (!others.empty())
    log::warn("{} checkpoints of another course were moved to {}", others.size(), abandoned);
  return ok_status();
}

bool repeats_logged_steps(const CheckpointStore& store, const StartingPoint& start,
                          const std::string& config) {
  const auto logged = read_file(store.run_directory() + "/config.toml");
  return !start.chosen && logged.ok() &&
         same_config(*logged, config, {"trainer.resume_mode", "trainer.default_local_dir"});
}

Status check_output(const std::string& folder) {
  const Status possible = try_directory(folder);
  return possible.ok() ? possible
                       : invalid_argument("trainer.default_local_dir: " + possible.message());
}

Status check_room(const std::string& folder, int64_t bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= static_cast<uintmax_t>(bytes)) return ok_status();
  return invalid_argument(fmt::format(
      "trainer.default_local_dir={}: a checkpoint takes {:.1f} MiB and the disk has {:.1f} MiB "
      "free, so that nothing of this run could be saved",
      folder, static_cast<double>(bytes) / kMiB, static_cast<double>(space.available) / kMiB));
}

}  // namespace longshot::loop

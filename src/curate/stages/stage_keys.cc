#include "curate/stages/stage_keys.h"

#include <fmt/format.h>

#include "base/os/fs.h"
#include "base/rng.h"
#include "curate/stages/decisions.h"
#include "datasets/files.h"

namespace longshot::curate {
namespace {

// Changed whenever the same settings would give other decisions.
constexpr int kVersion = 1;

Result<OrderedJson> fingerprints(const std::vector<std::string>& entries) {
  OrderedJson list = OrderedJson::array();
  if (entries.empty()) return list;
  LS_ASSIGN_OR_RETURN(const auto files, datasets::find_files(entries));
  for (const std::string& file : files) {
    std::error_code error;
    if (file == "-" || std::filesystem::is_other(file, error)) {
      return invalid_argument(file +
                              " is a pipe, which can be read only once; write its rows to a file");
    }
    if (std::filesystem::is_directory(file, error)) {
      return invalid_argument(
          fmt::format("{0} is a directory; name the files in it: {0}/*.jsonl", file));
    }
    LS_ASSIGN_OR_RETURN(const uint64_t sum, file_checksum(file));
    list.push_back({file, fmt::format("{:016x}", sum)});
  }
  return list;
}

}  // namespace

bool asks_model(Stage stage, const CurateOptions& options) {
  return (stage == Stage::hackable && options.hack_samples.empty()) ||
         (stage == Stage::difficulty && options.difficulty_samples.empty());
}

Result<std::vector<KeyedStage>> keyed_stages(const CurateOptions& options, const Settings& settings,
                                             const CurateModel& model,
                                             const std::filesystem::path& state) {
  std::vector<KeyedStage> stages;
  std::string before;
  for (const Stage stage : all_of<Stage>()) {
    if (!is_enabled(stage, options, static_cast<bool>(model.ask))) continue;
    LS_ASSIGN_OR_RETURN(const OrderedJson files, fingerprints(files_of(stage, options)));
    OrderedJson content = {{"version", kVersion},
                           {"before", before},
                           {"settings", settings_of(stage, settings)},
                           {"files", files}};
    if (asks_model(stage, options)) content["model"] = model.settings;
    KeyedStage& keyed = stages.emplace_back();
    keyed.stage = stage;
    keyed.key = before = fmt::format("{:016x}", hash64(dump_json(content)));
    keyed.path = state / fmt::format("{}.jsonl", name_of(stage));
    keyed.header = {
        {"stage", name_of(stage)}, {"key", keyed.key}, {"settings", content["settings"]}};
  }
  return stages;
}

bool is_done(const KeyedStage& stage) {
  const auto header = decision_header(stage.path);
  return header.ok() && header->is_object() && header->value("key", "") == stage.key;
}

}  // namespace longshot::curate

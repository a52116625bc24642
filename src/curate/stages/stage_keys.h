#pragma once
// The keys of stages: hashes of everything that a stage's decisions depend on.

#include <filesystem>
#include <string>
#include <vector>

#include "base/settings/settings.h"
#include "curate/stages/options.h"
#include "curate/stages/pipeline.h"

namespace longshot::curate {

struct KeyedStage {
  Stage stage = Stage::normalize;
  std::string key;
  std::filesystem::path path;  // of its decisions
  OrderedJson header;          // the first line of that file
};

// The enabled stages in their order. Reads the input files for their checksums. Errors name a file
// that cannot be read; invalid_argument for a pipe, which can be read only once.
Result<std::vector<KeyedStage>> keyed_stages(const CurateOptions& options, const Settings& settings,
                                             const CurateModel& model,
                                             const std::filesystem::path& state);

// True if the stage asks a model, because it has no files of samples.
bool asks_model(Stage stage, const CurateOptions& options);

// True if the decisions of the stage are there with its key.
bool is_done(const KeyedStage& stage);

}  // namespace longshot::curate

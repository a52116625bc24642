#pragma once
// adapter_config.json of the peft package: every setting is honoured, without an effect on the
// model, or refused by name. Torch-free.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/format/adapters/lora_options.h"
#include "model/format/adapters/module_pattern.h"

namespace longshot::model {

struct AdapterSettings {
  std::string where;       // the file, for messages
  LoraOptions lora;        // of modules that no pattern names
  std::string base;        // the model it belongs to
  bool scored = false;     // task type SEQ_CLS: the adapter of a reward model
  bool dora = false;       // weights are scaled to stored magnitudes (2402.09353)
  bool keep_tied = false;  // what changes the embedding changes the head tied to it
  // Rows that are replaced, by the last part of the embedding's name.
  std::map<std::string, std::vector<int>> token_rows;
  // The first setting that a merged model honours and a trained adapter does not have; empty: none.
  std::string only_merged;

  // rank_pattern and alpha_pattern applied. Error: a pattern that takes too long.
  Result<LoraOptions> options_of(const std::string& module) const;
  // Whether the adapter has matrices beside this module.
  Result<bool> targets(const std::string& module) const;
  Result<bool> saves(const std::string& module) const;  // as a whole

  struct Targets {
    bool any = false;         // target_modules is not in the file: peft's table for the model type
    bool all_linear = false;  // but the output head
    std::optional<ModulePattern> pattern;
    std::vector<std::string> names;
    std::optional<ModulePattern> excluded_pattern;
    std::vector<std::string> excluded;
    std::vector<ModulePattern> saved;        // modules_to_save
    std::vector<int> layers;                 // of modules in `names` alone; empty: all
    std::vector<ModulePattern> layer_lists;  // empty: any list of layers
  };
  Targets target_modules;
  std::vector<std::pair<ModulePattern, int>> ranks;
  std::vector<std::pair<ModulePattern, double>> alphas;
};

// Error: the file cannot be read, or a setting (named with its value) that changes the model in a
// way that is not computed.
Result<AdapterSettings> read_adapter_settings(const std::string& directory);

}  // namespace longshot::model

#pragma once
// adapter_config.json of the peft package. Every setting is applied, known to have no effect on the
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
  LoraOptions lora;        // of modules that match no pattern
  std::string base;        // the model it belongs to
  bool scored = false;     // task type SEQ_CLS: the adapter of a reward model
  bool dora = false;       // weights are scaled to stored magnitudes (2402.09353)
  bool keep_tied = false;  // a change of the embedding also changes the head tied to it
  // Ids of the embedding rows that are replaced, by the last part of the embedding's name.
  std::map<std::string, std::vector<int>> token_rows;
  // The first setting whose effect is more than s B A x beside a linear layer, so that it is
  // supported for merging only; empty if there is none.
  std::string only_merged;
  // The first setting that asks for another way of training than that of A and B together; empty if
  // there is none.
  std::string not_trained;

  // The options of a module, with rank_pattern and alpha_pattern applied. Error: a pattern that
  // takes too long.
  Result<LoraOptions> options_of(const std::string& module) const;
  // True if the adapter has low-rank matrices for this module.
  Result<bool> targets(const std::string& module) const;
  Result<bool> saves(const std::string& module) const;  // whether the module is saved as a whole

  struct Targets {
    // target_modules is not in the file, and peft uses its table for the model type: accepts any
    // module
    bool any = false;
    bool all_linear = false;  // all but the output head
    std::optional<ModulePattern> pattern;
    std::vector<std::string> names;
    std::optional<ModulePattern> excluded_pattern;
    std::vector<std::string> excluded;
    std::vector<ModulePattern> saved;        // modules_to_save
    std::vector<int> layers;                 // for modules in `names` only; empty: all layers
    std::vector<ModulePattern> layer_lists;  // empty: any list of layers
  };
  Targets target_modules;
  std::vector<std::pair<ModulePattern, int>> ranks;
  std::vector<std::pair<ModulePattern, double>> alphas;
};

// Errors: the file cannot be read; a setting changes the model in a way that is not supported (the
// message names it and its value).
Result<AdapterSettings> read_adapter_settings(const std::string& directory);

}  // namespace longshot::model

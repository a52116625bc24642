#include "model/format/adapters/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/os/fs.h"
#include "base/rng.h"
#include "model/format/adapters/adapter_settings.h"
#include "model/format/architecture.h"
#include "model/format/float_convert.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kScore = "score.weight";
constexpr const char* kScoredTask = "SEQ_CLS";

std::string config_path(const std::string& directory) {
  return (fs::path(directory) / "adapter_config.json").string();
}
std::string tensors_path(const std::string& directory) {
  return (fs::path(directory) / "adapter_model.safetensors").string();
}

std::string last_part(const std::string& module) {
  return module.substr(module.rfind('.') + 1);
}

// Module and shape of every weight that can have an adapter.
std::vector<WeightSpec> linear_modules(const ModelConfig& config) {
  std::vector<WeightSpec> modules;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    for (const ModuleName& module : layer_modules(config, layer)) {
      if (!takes_adapter(module)) continue;
      const ModuleShape shape = shape_of(config, module.role);
      modules.push_back({layer_prefix(layer) + module.name, {shape.rows, shape.columns}});
    }
  }
  return modules;
}

std::string tensor_name(const std::string& module, const char* which) {
  return fmt::format("{}{}.lora_{}.weight", kPrefix, module, which);
}

std::string score_name() {
  return std::string(kPrefix) + kScore;
}

Result<std::vector<float>> read_matrix(const SafetensorsFile& file, const std::string& name,
                                       const std::vector<int64_t>& shape) {
  const SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) return corrupt(file.path() + ": tensor '" + name + "' is missing");
  if (entry->shape != shape) {
    return invalid_argument(fmt::format("{}: tensor '{}' is {}, the model needs {}", file.path(),
                                        name, shape_text(entry->shape), shape_text(shape)));
  }
  std::vector<float> values(entry->elements());
  LS_RETURN_IF_ERROR(copy_as_f32(*entry, values.data()).with_context(file.path()));
  if (!all_finite(values.data(), values.size()))
    return corrupt(file.path() + ": tensor '" + name + "' has values that are not finite");
  return values;
}

// The shortest names that identify the modules: last parts if every projection is adapted in all
// blocks, otherwise full names.
std::vector<std::string> target_modules(const Adapter& adapter) {
  std::map<std::string, int> count;
  std::set<std::string> blocks, last, full;
  for (const AdapterPair& pair : adapter.pairs) {
    ++count[last_part(pair.module)];
    blocks.insert(pair.module.substr(0, pair.module.find('.', sizeof("model.layers"))));
    last.insert(last_part(pair.module));
    full.insert(pair.module);
  }
  const bool whole = std::ranges::all_of(
      count, [&](const auto& c) { return c.second == static_cast<int>(blocks.size()); });
  const auto& names = whole ? last : full;
  return {names.begin(), names.end()};
}

// Writes the ranks and alphas of modules that have their own, keyed by the module's whole name as a
// regular expression.
void add_patterns(const Adapter& adapter, Json& json) {
  json["rank_pattern"] = json["alpha_pattern"] = Json::object();
  for (const AdapterPair& pair : adapter.pairs) {
    std::string expression;
    for (const char c : pair.module) expression += c == '.' ? "\\." : std::string(1, c);
    if (pair.lora.rank != adapter.lora.rank) json["rank_pattern"][expression] = pair.lora.rank;
    if (pair.lora.alpha != adapter.lora.alpha) json["alpha_pattern"][expression] = pair.lora.alpha;
  }
}

}  // namespace

Result<std::vector<std::string>> adapter_modules(const ModelConfig& config,
                                                 const std::vector<std::string>& targets) {
  const bool all = targets == std::vector<std::string>{"all-linear"};
  std::vector<std::string> projections;
  for (int layer = 0; layer < config.num_layers; ++layer) {
    for (const ModuleName& module : layer_modules(config, layer)) {
      const std::string name = last_part(module.name);
      const bool is_new = std::ranges::find(projections, name) == projections.end();
      if (takes_adapter(module) && is_new) projections.push_back(name);
    }
  }
  for (const std::string& target : targets) {
    if (all || std::ranges::find(projections, target) != projections.end()) continue;
    return invalid_argument(
        fmt::format("'{}' is not a linear layer of a {} model; there are {}, or all-linear", target,
                    config.model_type, fmt::join(projections, ", ")));
  }
  std::vector<std::string> modules;
  for (const WeightSpec& spec : linear_modules(config)) {
    if (all || std::ranges::find(targets, last_part(spec.name)) != targets.end())
      modules.push_back(spec.name);
  }
  if (modules.empty()) return invalid_argument("no linear layer is named for the adapter");
  return modules;
}

Adapter new_adapter(const ModelConfig& config, const LoraOptions& lora,
                    const std::vector<std::string>& modules, uint64_t seed) {
  Adapter adapter{lora, "", {}, {}};
  for (const WeightSpec& spec : linear_modules(config)) {
    if (std::ranges::find(modules, spec.name) == modules.end()) continue;
    AdapterPair pair{
        spec.name, lora, {}, {}, static_cast<int>(spec.shape[0]), static_cast<int>(spec.shape[1])};
    CounterRng rng(hash_combine(seed, hash64(spec.name + ".lora_A")));
    const double bound = 1 / std::sqrt(static_cast<double>(pair.in));
    pair.a.resize(static_cast<size_t>(lora.rank) * pair.in);
    for (float& v : pair.a) v = static_cast<float>(bound * (2 * rng.next_double() - 1));
    pair.b.assign(static_cast<size_t>(pair.out) * lora.rank, 0.0F);
    adapter.pairs.push_back(std::move(pair));
  }
  LS_CHECK(adapter.pairs.size() == modules.size(), "modules of another model");
  return adapter;
}

bool is_adapter_directory(const std::string& path) {
  return fs::exists(config_path(path));
}

Result<std::string> adapter_base(const std::string& directory) {
  const std::string where = config_path(directory);
  LS_ASSIGN_OR_RETURN(const Json json, read_json_file(where));
  return json_get_or<std::string>(json, "base_model_name_or_path", "", where);
}

Result<SafetensorsFile> open_adapter_tensors(const std::string& directory) {
  const fs::path pickle = fs::path(directory) / "adapter_model.bin";
  if (!fs::exists(tensors_path(directory)) && fs::exists(pickle)) {
    return invalid_argument(pickle.string() +
                            " is a pickle, which is not read: save the adapter with "
                            "safe_serialization=True");
  }
  return SafetensorsFile::open(tensors_path(directory));
}

namespace {

Result<AdapterPair> read_pair(const SafetensorsFile& file, const AdapterSettings& settings,
                              const WeightSpec& spec) {
  AdapterPair pair;
  pair.module = spec.name;
  pair.out = static_cast<int>(spec.shape[0]);
  pair.in = static_cast<int>(spec.shape[1]);
  LS_ASSIGN_OR_RETURN(pair.lora, settings.options_of(pair.module));
  LS_ASSIGN_OR_RETURN(const bool targeted, settings.targets(pair.module));
  if (!targeted) {
    return invalid_argument(fmt::format(
        "{}: target_modules and related settings leave out {}, but {} has tensors for it",
        settings.where, pair.module, file.path()));
  }
  const int64_t rank = pair.lora.rank;
  LS_ASSIGN_OR_RETURN(pair.a, read_matrix(file, tensor_name(spec.name, "A"), {rank, pair.in}));
  LS_ASSIGN_OR_RETURN(pair.b, read_matrix(file, tensor_name(spec.name, "B"), {pair.out, rank}));
  return pair;
}

Status check_settings(const AdapterSettings& settings, const ModelConfig& config, AdapterUse use) {
  const bool train = use == AdapterUse::train;
  const std::string& why =
      !settings.only_merged.empty() || !train ? settings.only_merged : settings.not_trained;
  if (!why.empty()) {
    return invalid_argument(fmt::format(
        "{}: an adapter with {} can be merged but not {}; merge it with longshot convert --model "
        "BASE --adapter DIR --output DIR and {} the result",
        settings.where, why, train ? "trained" : "served beside its base",
        train ? "train" : "serve"));
  }
  if (settings.scored && !config.score_head) {
    return invalid_argument(settings.where +
                            ": the adapter of a reward model, for a model that generates");
  }
  return ok_status();
}

}  // namespace

Result<Adapter> read_adapter(const std::string& directory, const ModelConfig& config,
                             AdapterUse use) {
  LS_ASSIGN_OR_RETURN(const AdapterSettings settings, read_adapter_settings(directory));
  LS_RETURN_IF_ERROR(check_settings(settings, config, use));
  LS_ASSIGN_OR_RETURN(const SafetensorsFile file, open_adapter_tensors(directory));
  Adapter adapter{settings.lora, settings.base, {}, {}};
  std::set<std::string> known;
  for (const WeightSpec& spec : linear_modules(config)) {
    const std::string a = tensor_name(spec.name, "A"), b = tensor_name(spec.name, "B");
    if (file.find(a) == nullptr && file.find(b) == nullptr) continue;
    LS_ASSIGN_OR_RETURN(adapter.pairs.emplace_back(), read_pair(file, settings, spec));
    known.insert({a, b});
  }
  if (settings.scored) {
    known.insert(score_name());
    LS_ASSIGN_OR_RETURN(adapter.score, read_matrix(file, score_name(), {1, config.hidden_size}));
  }
  for (const auto& [name, entry] : file.entries()) {
    if (known.count(name) == 0) {
      return invalid_argument(fmt::format(
          "{}: tensor '{}' belongs to no linear layer of a block of this model; an "
          "adapter of another layer can be merged (longshot convert) but not {}",
          file.path(), name, use == AdapterUse::train ? "trained" : "served beside its base"));
    }
  }
  if (adapter.pairs.empty()) return corrupt(file.path() + ": no tensor");
  return adapter;
}

Status write_adapter(const std::string& directory, const Adapter& adapter) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  const bool scored = !adapter.score.empty();
  Json json = {{"peft_type", "LORA"},
               {"task_type", scored ? kScoredTask : "CAUSAL_LM"},
               {"base_model_name_or_path", adapter.base},
               {"r", adapter.lora.rank},
               {"lora_alpha", adapter.lora.alpha},
               {"use_rslora", adapter.lora.rslora},
               {"lora_dropout", 0.0},
               {"bias", "none"},
               {"fan_in_fan_out", false},
               {"inference_mode", true},
               {"init_lora_weights", true},
               {"modules_to_save", scored ? Json({"classifier", "score"}) : Json()},
               {"target_modules", target_modules(adapter)}};
  add_patterns(adapter, json);
  std::vector<SafetensorsArray> arrays;
  for (const AdapterPair& pair : adapter.pairs) {
    arrays.push_back(
        {tensor_name(pair.module, "A"), Dtype::f32, {pair.lora.rank, pair.in}, pair.a.data()});
    arrays.push_back(
        {tensor_name(pair.module, "B"), Dtype::f32, {pair.out, pair.lora.rank}, pair.b.data()});
  }
  if (scored) {
    const auto width = static_cast<int64_t>(adapter.score.size());
    arrays.push_back({score_name(), Dtype::f32, {1, width}, adapter.score.data()});
  }
  LS_RETURN_IF_ERROR(write_safetensors(tensors_path(directory), arrays));
  LS_RETURN_IF_ERROR(write_file_durable(config_path(directory), dump_json(json, 2) + "\n"));
  return fsync_path(directory);
}

void merge_adapter(const Adapter& adapter, std::vector<HostTensor>& weights) {
  size_t at = 0;  // both lists are in the order of expected_weights()
  for (const AdapterPair& pair : adapter.pairs) {
    while (at < weights.size() && weights[at].name != pair.module + ".weight") ++at;
    LS_CHECK(at < weights.size() && weights[at].shape == std::vector<int64_t>({pair.out, pair.in}),
             "the adapter belongs to another model");
    const auto scale = static_cast<float>(pair.lora.scale());
    const int rank = pair.lora.rank;
    for (int o = 0; o < pair.out; ++o) {
      float* row = weights[at].data.data() + static_cast<size_t>(o) * pair.in;
      for (int r = 0; r < rank; ++r) {
        const float factor = scale * pair.b[static_cast<size_t>(o) * rank + r];
        const float* a = pair.a.data() + static_cast<size_t>(r) * pair.in;
        for (int i = 0; i < pair.in; ++i) row[i] += factor * a[i];
      }
    }
  }
  if (adapter.score.empty()) return;
  const auto head = std::ranges::find(weights, kScore, &HostTensor::name);
  LS_CHECK(head != weights.end() && head->data.size() == adapter.score.size(),
           "the score belongs to another model");
  head->data = adapter.score;
}

}  // namespace longshot::model

#include "model/format/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kScore = "score.weight";
constexpr const char* kScoredTask = "SEQ_CLS";
constexpr const char* kProjections[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                        "gate_proj", "up_proj", "down_proj"};

std::string config_path(const std::string& directory) {
  return (fs::path(directory) / "adapter_config.json").string();
}
std::string tensors_path(const std::string& directory) {
  return (fs::path(directory) / "adapter_model.safetensors").string();
}

std::string last_part(const std::string& module) {
  return module.substr(module.rfind('.') + 1);
}

// Module and shape of every weight an adapter can stand beside.
std::vector<WeightSpec> linear_modules(const ModelConfig& config) {
  const std::string_view ending = "_proj.weight";
  std::vector<WeightSpec> modules;
  for (WeightSpec spec : expected_weights(config)) {
    if (!spec.name.ends_with(ending)) continue;
    spec.name.resize(spec.name.size() - std::string_view(".weight").size());
    modules.push_back(std::move(spec));
  }
  return modules;
}

std::string tensor_name(const std::string& module, const char* which) {
  return fmt::format("{}{}.lora_{}.weight", kPrefix, module, which);
}

bool is_scored(const Json& json) {
  return json.is_object() && json.value("task_type", Json()) == kScoredTask;
}

// Whether the adapter of a classifier saves its head and nothing else. PEFT names both that there may be.
bool saves_heads(const Json& json) {
  const Json modules = json.value("modules_to_save", Json());
  return is_scored(json) && modules.is_array() && std::ranges::all_of(modules, [](const Json& m) {
           return m == "classifier" || m == "score";
         });
}

std::string score_name() {
  return std::string(kPrefix) + kScore;
}

// Kinds of adapters that compute something else than W + s B A of linear weights and a score.
Status check_plain(const Json& json, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const auto type, json_get<std::string>(json, "peft_type", where));
  if (type != "LORA") return invalid_argument(where + ": peft_type " + type + " is not LORA");
  LS_ASSIGN_OR_RETURN(const auto bias, json_get_or<std::string>(json, "bias", "none", where));
  if (bias != "none")
    return invalid_argument(where + ": bias '" + bias + "' is not supported, only 'none'");
  for (const char* key :
       {"use_dora", "fan_in_fan_out", "lora_bias", "modules_to_save", "rank_pattern",
        "alpha_pattern", "layer_replication", "trainable_token_indices", "target_parameters",
        "use_qalora", "alora_invocation_tokens", "use_bdlora"}) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null() || *found == Json(false)) continue;
    if (found->is_structured() && found->empty()) continue;
    if (key == std::string_view("modules_to_save") && saves_heads(json)) continue;
    return invalid_argument(
        fmt::format("{}: adapters with {} are not supported; merge it with peft's "
                    "merge_and_unload() and use the merged model",
                    where, key));
  }
  return ok_status();
}

Result<LoraOptions> read_options(const Json& json, const std::string& where) {
  LS_RETURN_IF_ERROR(check_plain(json, where));
  LoraOptions lora;
  LS_ASSIGN_OR_RETURN(lora.rank, json_get<int>(json, "r", where));
  LS_ASSIGN_OR_RETURN(lora.alpha, json_get<double>(json, "lora_alpha", where));
  LS_ASSIGN_OR_RETURN(lora.rslora, json_get_or<bool>(json, "use_rslora", false, where));
  LS_ASSIGN_OR_RETURN(const double dropout, json_get_or<double>(json, "lora_dropout", 0.0, where));
  if (dropout != 0)
    log::warn("{}: lora_dropout {} is not applied: nothing here drops activations", where, dropout);
  if (lora.rank < 1) return invalid_argument(fmt::format("{}: r is {}", where, lora.rank));
  return lora;
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
  return values;
}

// Names as short as they can be: last parts where a projection is adapted in all blocks.
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

}  // namespace

double LoraOptions::scale() const {
  if (rank == 0) return 1;
  return rslora ? alpha / std::sqrt(static_cast<double>(rank)) : alpha / rank;
}

Result<std::vector<std::string>> adapter_modules(const ModelConfig& config,
                                                 const std::vector<std::string>& targets) {
  const bool all = targets == std::vector<std::string>{"all-linear"};
  for (const std::string& target : targets) {
    if (all || std::ranges::find(kProjections, target) != std::end(kProjections)) continue;
    return invalid_argument(fmt::format("'{}' is no linear layer; there are {}, or all-linear",
                                        target, fmt::join(kProjections, ", ")));
  }
  std::vector<std::string> modules;
  for (const WeightSpec& spec : linear_modules(config)) {
    if (all || std::ranges::find(targets, last_part(spec.name)) != targets.end())
      modules.push_back(spec.name);
  }
  if (modules.empty())
    return invalid_argument("no linear layer is named to stand an adapter beside");
  return modules;
}

Adapter new_adapter(const ModelConfig& config, const LoraOptions& lora,
                    const std::vector<std::string>& modules, uint64_t seed) {
  Adapter adapter{lora, "", {}};
  for (const WeightSpec& spec : linear_modules(config)) {
    if (std::ranges::find(modules, spec.name) == modules.end()) continue;
    AdapterPair pair{
        spec.name, {}, {}, static_cast<int>(spec.shape[0]), static_cast<int>(spec.shape[1])};
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

Result<bool> adapter_has_score(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const Json json, read_json_file(config_path(directory)));
  return is_scored(json);
}

Result<Adapter> read_adapter(const std::string& directory, const ModelConfig& config) {
  Adapter adapter;
  const std::string where = config_path(directory);
  LS_ASSIGN_OR_RETURN(const Json json, read_json_file(where));
  LS_ASSIGN_OR_RETURN(adapter.lora, read_options(json, where));
  LS_ASSIGN_OR_RETURN(adapter.base, adapter_base(directory));
  LS_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(tensors_path(directory)));
  const int64_t rank = adapter.lora.rank;
  for (const WeightSpec& spec : linear_modules(config)) {
    if (file.find(tensor_name(spec.name, "A")) == nullptr &&
        file.find(tensor_name(spec.name, "B")) == nullptr)
      continue;
    AdapterPair& pair = adapter.pairs.emplace_back();
    pair.module = spec.name;
    pair.out = static_cast<int>(spec.shape[0]);
    pair.in = static_cast<int>(spec.shape[1]);
    LS_ASSIGN_OR_RETURN(pair.a, read_matrix(file, tensor_name(spec.name, "A"), {rank, pair.in}));
    LS_ASSIGN_OR_RETURN(pair.b, read_matrix(file, tensor_name(spec.name, "B"), {pair.out, rank}));
  }
  std::set<std::string> known;
  if (is_scored(json)) {
    if (!config.score_head)
      return invalid_argument(where +
                              ": the adapter of a reward model, for a model that generates");
    known.insert(score_name());
    LS_ASSIGN_OR_RETURN(adapter.score, read_matrix(file, score_name(), {1, config.hidden_size}));
  }
  for (const AdapterPair& pair : adapter.pairs)
    known.insert({tensor_name(pair.module, "A"), tensor_name(pair.module, "B")});
  for (const auto& [name, entry] : file.entries()) {
    if (known.count(name) == 0) {
      return invalid_argument(fmt::format(
          "{}: tensor '{}' stands beside no linear layer of this model", file.path(), name));
    }
  }
  if (adapter.pairs.empty()) return corrupt(file.path() + ": no tensor");
  return adapter;
}

Status write_adapter(const std::string& directory, const Adapter& adapter) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  const bool scored = !adapter.score.empty();
  const Json json = {{"peft_type", "LORA"},
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
  std::vector<SafetensorsArray> arrays;
  for (const AdapterPair& pair : adapter.pairs) {
    arrays.push_back(
        {tensor_name(pair.module, "A"), Dtype::f32, {adapter.lora.rank, pair.in}, pair.a.data()});
    arrays.push_back(
        {tensor_name(pair.module, "B"), Dtype::f32, {pair.out, adapter.lora.rank}, pair.b.data()});
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
  const auto scale = static_cast<float>(adapter.lora.scale());
  const int rank = adapter.lora.rank;
  size_t at = 0;  // both lists have the order of expected_weights()
  for (const AdapterPair& pair : adapter.pairs) {
    while (at < weights.size() && weights[at].name != pair.module + ".weight") ++at;
    LS_CHECK(at < weights.size() && weights[at].shape == std::vector<int64_t>({pair.out, pair.in}),
             "the adapter belongs to another model");
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

Status apply_adapter(const std::string& directory, ModelFiles& files) {
  LS_ASSIGN_OR_RETURN(const bool scored, adapter_has_score(directory));
  if (scored && !files.config.score_head)
    add_score_head(files, 0);  // the adapter's takes its place
  LS_ASSIGN_OR_RETURN(const Adapter adapter, read_adapter(directory, files.config));
  merge_adapter(adapter, files.weights);
  return ok_status();
}

}  // namespace longshot::model

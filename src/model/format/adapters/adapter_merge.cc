// Merges every supported kind of low-rank adapter into plain weights.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "model/format/adapters/adapter.h"
#include "model/format/adapters/adapter_settings.h"
#include "model/format/architecture.h"
#include "model/format/model_path.h"

namespace longshot::model {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr const char* kEmbedding = names::kEmbedding;
constexpr const char* kHead = names::kHead;

// The tensors in the file for one module; null if absent.
struct ModuleTensors {
  const SafetensorsEntry *a = nullptr, *b = nullptr;  // [rank, in], [out, rank]
  const SafetensorsEntry *embedding_a = nullptr,
                         *embedding_b = nullptr;  // [rank, vocab], [hidden, rank]
  const SafetensorsEntry *magnitude = nullptr, *lora_bias = nullptr, *rows = nullptr;
  const SafetensorsEntry *weight = nullptr, *bias = nullptr;  // replace those of the base model

  bool adapts() const { return a != nullptr || embedding_a != nullptr; }
};
using Modules = std::map<std::string, ModuleTensors>;

// Endings of peft's tensor names. An ending that contains another one comes before it.
struct Ending {
  std::string_view text;
  const SafetensorsEntry* ModuleTensors::*place;
};
constexpr Ending kEndings[] = {{".token_adapter.trainable_tokens_delta", &ModuleTensors::rows},
                               {".lora_magnitude_vector.weight", &ModuleTensors::magnitude},
                               {".lora_magnitude_vector", &ModuleTensors::magnitude},
                               {".lora_embedding_A", &ModuleTensors::embedding_a},
                               {".lora_embedding_B", &ModuleTensors::embedding_b},
                               {".lora_A.weight", &ModuleTensors::a},
                               {".lora_B.weight", &ModuleTensors::b},
                               {".lora_B.bias", &ModuleTensors::lora_bias},
                               {".base_layer.weight", &ModuleTensors::weight},
                               {".base_layer.bias", &ModuleTensors::bias},
                               {".modules_to_save.weight", &ModuleTensors::weight},
                               {".weight", &ModuleTensors::weight},
                               {".bias", &ModuleTensors::bias}};

Status unknown_tensor(const SafetensorsFile& file, const std::string& name) {
  return invalid_argument(
      fmt::format("{}: tensor '{}' belongs to no module of this model", file.path(), name));
}

Result<Modules> sort_tensors(const SafetensorsFile& file, bool scored) {
  Modules modules;
  for (const auto& [name, entry] : file.entries()) {
    const auto ending = std::ranges::find_if(
        kEndings, [&](const Ending& e) { return std::string_view(name).ends_with(e.text); });
    if (!name.starts_with(kPrefix) || ending == std::end(kEndings))
      return unknown_tensor(file, name);
    const std::string module =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - ending->text.size());
    modules[module].*(ending->place) = &entry;
  }
  if (modules.empty()) return corrupt(file.path() + ": no tensor");
  if (scored && modules["score"].weight == nullptr)
    return corrupt(fmt::format("{}: tensor '{}score.weight' is missing", file.path(), kPrefix));
  return modules;
}

// True if the adapter has its own copy of the module's weight. A module tied to that weight then
// keeps the base model's.
Result<bool> parts(const Modules& modules, const AdapterSettings& settings, const char* module) {
  const auto found = modules.find(module);
  if (found == modules.end()) return false;
  if (found->second.adapts()) return true;
  return found->second.weight == nullptr ? Result<bool>(false) : settings.saves(module);
}

// True if the adapter unties the embedding and the head because it changes only one of them.
Result<bool> parts_tied(const Modules& modules, const AdapterSettings& settings,
                        const ModelConfig& config) {
  if (!config.tie_word_embeddings || config.score_head) return false;
  LS_ASSIGN_OR_RETURN(const bool head, parts(modules, settings, kHead));
  LS_ASSIGN_OR_RETURN(const bool embedding, parts(modules, settings, kEmbedding));
  return head || (embedding && !settings.keep_tied);
}

void part_tied(ModelFiles& files) {
  const auto embedding =
      std::ranges::find(files.weights, std::string(kEmbedding) + ".weight", &HostTensor::name);
  HostTensor head = *embedding;
  head.name = std::string(kHead) + ".weight";
  files.weights.push_back(std::move(head));  // the last of expected_weights()
  files.config.tie_word_embeddings = false;
}

class Merger {
 public:
  Merger(const AdapterSettings& settings, const SafetensorsFile& file, ModelFiles& files)
      : settings_(settings), file_(file), files_(files) {
    for (HostTensor& tensor : files.weights) weights_[tensor.name] = &tensor;
  }

  Status merge(const std::string& module, const ModuleTensors& t);

 private:
  Result<std::vector<float>> values(const SafetensorsEntry* entry, std::vector<int64_t> shape,
                                    const std::string& module, const char* what) const;
  Status add_product(const std::string& module, const ModuleTensors& t, HostTensor& weight) const;
  Status scale_to_magnitudes(const std::string& module, const ModuleTensors& t, HostTensor& weight);
  Status merge_bias(const std::string& module, const ModuleTensors& t);
  Status merge_rows(const std::string& module, const ModuleTensors& t, HostTensor& weight);
  Status check_targeted(const std::string& module) const;

  const AdapterSettings& settings_;
  const SafetensorsFile& file_;
  ModelFiles& files_;
  std::map<std::string, HostTensor*> weights_;
};

Result<std::vector<float>> Merger::values(const SafetensorsEntry* entry, std::vector<int64_t> shape,
                                          const std::string& module, const char* what) const {
  if (entry == nullptr)
    return corrupt(
        fmt::format("{}: tensor '{}{}.{}' is missing", file_.path(), kPrefix, module, what));
  if (entry->shape != shape) {
    return invalid_argument(fmt::format("{}: tensor '{}' is {}, the model and {} need {}",
                                        file_.path(), entry->name, shape_text(entry->shape),
                                        settings_.where, shape_text(shape)));
  }
  std::vector<float> out(entry->elements());
  LS_RETURN_IF_ERROR(copy_as_f32(*entry, out.data()).with_context(file_.path()));
  return out;
}

Status Merger::check_targeted(const std::string& module) const {
  LS_ASSIGN_OR_RETURN(bool targeted, settings_.targets(module));
  // the head is tied, so the embedding's settings apply
  if (module == kHead && settings_.keep_tied) {
    LS_ASSIGN_OR_RETURN(const bool with_embedding, settings_.targets(kEmbedding));
    targeted = targeted || with_embedding;
  }
  if (targeted) return ok_status();
  return invalid_argument(
      fmt::format("{}: target_modules and related settings leave out {}, but {} has tensors "
                  "for it",
                  settings_.where, module, file_.path()));
}

// W += s B A. For an embedding, A and B describe the transpose of the weight.
Status Merger::add_product(const std::string& module, const ModuleTensors& t,
                           HostTensor& weight) const {
  LS_RETURN_IF_ERROR(check_targeted(module));
  LS_ASSIGN_OR_RETURN(const LoraOptions lora, settings_.options_of(module));
  const bool transposed = t.embedding_a != nullptr;
  const int64_t rows = weight.shape[0], columns = weight.shape[1], rank = lora.rank;
  const int64_t in = transposed ? rows : columns, out = transposed ? columns : rows;
  LS_ASSIGN_OR_RETURN(const auto a, values(transposed ? t.embedding_a : t.a, {rank, in}, module,
                                           transposed ? "lora_embedding_A" : "lora_A.weight"));
  LS_ASSIGN_OR_RETURN(const auto b, values(transposed ? t.embedding_b : t.b, {out, rank}, module,
                                           transposed ? "lora_embedding_B" : "lora_B.weight"));
  const auto scale = static_cast<float>(lora.scale());
  for (int64_t r = 0; r < rows; ++r) {
    float* row = weight.data.data() + r * columns;
    for (int64_t k = 0; k < rank; ++k) {
      const float factor = scale * (transposed ? a[k * rows + r] : b[r * rank + k]);
      for (int64_t c = 0; c < columns; ++c)
        row[c] += factor * (transposed ? b[c * rank + k] : a[k * columns + c]);
    }
  }
  return ok_status();
}

// DoRA (2402.09353): scales each row to the length that the adapter stores; for an embedding, each
// column.
Status Merger::scale_to_magnitudes(const std::string& module, const ModuleTensors& t,
                                   HostTensor& weight) {
  if (t.magnitude == nullptr) {
    if (!settings_.dora) return ok_status();
    return corrupt(fmt::format("{}: tensor '{}{}.lora_magnitude_vector' is missing", file_.path(),
                               kPrefix, module));
  }
  if (!settings_.dora)
    return invalid_argument(settings_.where + ": use_dora is false, but " + t.magnitude->name +
                            " is in the file");
  const bool by_column = t.embedding_a != nullptr;
  const int64_t rows = weight.shape[0], columns = weight.shape[1];
  LS_ASSIGN_OR_RETURN(const auto magnitude, values(t.magnitude, {by_column ? columns : rows},
                                                   module, "lora_magnitude_vector"));
  std::vector<double> squares(magnitude.size(), 0.0);
  for (int64_t i = 0; i < rows * columns; ++i) {
    const double v = weight.data[i];
    squares[by_column ? i % columns : i / columns] += v * v;
  }
  for (int64_t i = 0; i < rows * columns; ++i) {
    const int64_t line = by_column ? i % columns : i / columns;
    weight.data[i] *= static_cast<float>(magnitude[line] / std::sqrt(squares[line]));
  }
  return ok_status();
}

Status Merger::merge_bias(const std::string& module, const ModuleTensors& t) {
  if (t.bias == nullptr && t.lora_bias == nullptr) return ok_status();
  const auto found = weights_.find(module + ".bias");
  if (found == weights_.end()) {
    return invalid_argument(
        fmt::format("{}: tensor '{}' is a bias, which {} of this model does not have{}",
                    file_.path(), (t.bias != nullptr ? t.bias : t.lora_bias)->name, module,
                    t.lora_bias != nullptr ? " (lora_bias)" : ""));
  }
  HostTensor& bias = *found->second;
  if (t.bias != nullptr) {
    LS_ASSIGN_OR_RETURN(bias.data, values(t.bias, bias.shape, module, "bias"));
  }
  if (t.lora_bias == nullptr) return ok_status();
  LS_ASSIGN_OR_RETURN(const LoraOptions lora, settings_.options_of(module));
  LS_ASSIGN_OR_RETURN(const auto added, values(t.lora_bias, bias.shape, module, "lora_B.bias"));
  for (size_t i = 0; i < added.size(); ++i)
    bias.data[i] += static_cast<float>(lora.scale()) * added[i];
  return ok_status();
}

Status Merger::merge_rows(const std::string& module, const ModuleTensors& t, HostTensor& weight) {
  if (t.rows == nullptr) return ok_status();
  const auto named = settings_.token_rows.find(module.substr(module.rfind('.') + 1));
  if (named == settings_.token_rows.end()) {
    return invalid_argument(
        fmt::format("{}: trainable_token_indices does not name {}, but {} has "
                    "tensors for it",
                    settings_.where, module, file_.path()));
  }
  const std::vector<int>& ids = named->second;
  const int64_t width = weight.shape[1];
  LS_ASSIGN_OR_RETURN(const auto rows, values(t.rows, {static_cast<int64_t>(ids.size()), width},
                                              module, "token_adapter.trainable_tokens_delta"));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= weight.shape[0]) {
      return invalid_argument(
          fmt::format("{}: trainable_token_indices has {}, outside the {} tokens", settings_.where,
                      ids[i], weight.shape[0]));
    }
    std::copy_n(rows.begin() + i * width, width, weight.data.begin() + ids[i] * width);
  }
  return ok_status();
}

Status Merger::merge(const std::string& module, const ModuleTensors& t) {
  const bool tied = module == kHead && files_.config.tie_word_embeddings;
  const auto found = weights_.find((tied ? std::string(kEmbedding) : module) + ".weight");
  if (found == weights_.end()) return unknown_tensor(file_, std::string(kPrefix) + module);
  HostTensor& weight = *found->second;
  if (t.weight != nullptr) {
    LS_ASSIGN_OR_RETURN(weight.data, values(t.weight, weight.shape, module, "weight"));
  }
  if (t.adapts()) {
    if (weight.shape.size() != 2) return unknown_tensor(file_, std::string(kPrefix) + module);
    LS_RETURN_IF_ERROR(add_product(module, t, weight));
    LS_RETURN_IF_ERROR(scale_to_magnitudes(module, t, weight));
  } else if (t.b != nullptr || t.embedding_b != nullptr || t.magnitude != nullptr) {
    return corrupt(
        fmt::format("{}: tensor '{}{}.lora_A.weight' is missing", file_.path(), kPrefix, module));
  }
  LS_RETURN_IF_ERROR(merge_bias(module, t));
  return merge_rows(module, t, weight);
}

struct OpenAdapter {
  AdapterSettings settings;
  SafetensorsFile file;
  Modules modules;
};

Result<OpenAdapter> open_adapter(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(AdapterSettings settings, read_adapter_settings(directory));
  LS_ASSIGN_OR_RETURN(SafetensorsFile file, open_adapter_tensors(directory));
  OpenAdapter open{std::move(settings), std::move(file), {}};
  LS_ASSIGN_OR_RETURN(open.modules, sort_tensors(open.file, open.settings.scored));
  return open;
}

}  // namespace

Status apply_adapter(const std::string& given, ModelFiles& files) {
  LS_ASSIGN_OR_RETURN(const std::string directory, find_model(given));
  LS_ASSIGN_OR_RETURN(const OpenAdapter adapter, open_adapter(directory));
  if (adapter.settings.scored && !files.config.score_head)
    add_score_head(files, 0);  // the adapter's score replaces it
  LS_ASSIGN_OR_RETURN(const bool parted,
                      parts_tied(adapter.modules, adapter.settings, files.config));
  if (parted) part_tied(files);
  Merger merger(adapter.settings, adapter.file, files);
  for (const auto& [module, tensors] : adapter.modules)
    LS_RETURN_IF_ERROR(merger.merge(module, tensors));
  return ok_status();
}

Status apply_adapter_config(const std::string& directory, ModelConfig& config) {
  LS_ASSIGN_OR_RETURN(const OpenAdapter adapter, open_adapter(directory));
  config.score_head = config.score_head || adapter.settings.scored;
  LS_ASSIGN_OR_RETURN(const bool parted, parts_tied(adapter.modules, adapter.settings, config));
  if (parted) config.tie_word_embeddings = false;
  return ok_status();
}

}  // namespace longshot::model

#include "model/format/gguf/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/format/architecture.h"
#include "model/format/gguf/gguf_config.h"
#include "model/format/model_types.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

// The Hugging Face and GGUF names of the modules outside the layers (gguf-py, tensor_mapping.py).
struct NamePair {
  const char* hf;
  const char* gguf;
};
constexpr NamePair kOuterNames[] = {{names::kEmbedding, "token_embd"},
                                    {names::kFinalNorm, "output_norm"},
                                    {names::kHead, "output"}};

// The tensor that contains a weight. Each weight of an expert is a part of the tensor of all
// experts, [experts, rows, columns], or, in older files, a tensor of its own.
struct Source {
  std::string name, own_name;
  int expert = -1;
};

// By Hugging Face's module: "model.layers.3.self_attn.q_proj" -> "blk.3.attn_q".
using Sources = std::map<std::string, Source>;

Sources sources_of(const ModelConfig& config) {
  Sources sources;
  for (const NamePair& pair : kOuterNames) sources[pair.hf] = {pair.gguf, ""};
  for (int layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    for (const ModuleName& module : layer_modules(config, layer)) {
      Source source{prefix + module.gguf, ""};
      if (is_of_expert(module.role)) {
        source.expert = module.expert;
        source.own_name =
            fmt::format("{}.{}", source.name.substr(0, source.name.rfind("_exps")), module.expert);
      }
      sources[layer_prefix(layer) + module.name] = source;
    }
  }
  return sources;
}

// Of a weight or bias, with the ending of its name.
Source source_of(const std::string& hf_name, const Sources& sources) {
  const size_t dot = hf_name.rfind('.');
  const auto found = sources.find(hf_name.substr(0, dot));
  LS_CHECK(found != sources.end(), "no GGUF name for " + hf_name);
  Source source = found->second;
  source.name += hf_name.substr(dot);
  if (source.expert >= 0) source.own_name += hf_name.substr(dot);
  return source;
}

// The row of the file that contains row `row` of Hugging Face's matrix. Within a head, llama.cpp's
// converter turns [2, head_dim / 2] into [head_dim / 2, 2] (convert_hf_to_gguf.py,
// LlamaModel.permute).
int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, within = row % head_dim, half = head_dim / 2;
  return head * head_dim + within % half * 2 + within / half;
}

bool is_interleaved(const std::string& hf_name, const ModelConfig& config) {
  const GgufArchitecture* architecture = find_gguf_architecture(config.model_type);
  return architecture != nullptr && architecture->interleaved &&
         (hf_name.find(".q_proj.") != std::string::npos ||
          hf_name.find(".k_proj.") != std::string::npos);
}

Status dequantize_interleaved(const GgufTensor& source, int64_t head_dim, HostTensor& target) {
  const GgmlType& type = *source.type;
  const int64_t rows = target.shape[0], width = source.elements() / rows;
  if (width % type.block_elements != 0) {
    return corrupt(
        fmt::format("tensor '{}' of format {} cannot be split into rows", source.name, type.name));
  }
  const int64_t row_bytes = width / type.block_elements * type.block_bytes;
  for (int64_t row = 0; row < rows; ++row) {
    dequantize(type, source.bytes.data() + interleaved_row(row, head_dim) * row_bytes, width,
               target.data.data() + row * width);
  }
  return ok_status();
}

// The part of a tensor of all experts that is one expert's.
Result<GgufTensor> part_of(const GgufTensor& whole, int expert) {
  GgufTensor part = whole;
  part.shape.erase(part.shape.begin());
  const int64_t width = part.shape.back();
  if (width % whole.type->block_elements != 0) {
    return corrupt(fmt::format("tensor '{}' of format {} cannot be split into rows", whole.name,
                               whole.type->name));
  }
  const size_t bytes = whole.bytes.size() / static_cast<size_t>(whole.shape[0]);
  part.bytes = whole.bytes.substr(static_cast<size_t>(expert) * bytes, bytes);
  return part;
}

// The values of a weight as they are in the file.
Result<GgufTensor> find_values(const GgufFile& file, const WeightSpec& spec, const Sources& sources,
                               const ModelConfig& config) {
  const Source source = source_of(spec.name, sources);
  const GgufTensor* whole = file.find_tensor(source.name);
  std::vector<int64_t> shape = spec.shape;
  const GgufTensor* own = source.expert < 0 ? nullptr : file.find_tensor(source.own_name);
  if (own != nullptr) {
    whole = own;
  } else if (source.expert >= 0) {
    shape.insert(shape.begin(), config.experts.count);
  }
  if (whole == nullptr) {
    return corrupt(
        fmt::format("{}: tensor '{}' {} is missing", file.path(), source.name, shape_text(shape)));
  }
  if (whole->shape != shape) {
    return corrupt(fmt::format("{}: tensor '{}' has shape {}, the configuration asks for {}",
                               file.path(), whole->name, shape_text(whole->shape),
                               shape_text(shape)));
  }
  if (shape.size() == spec.shape.size()) return *whole;
  return part_of(*whole, source.expert);
}

Result<HostTensor> read_tensor(const GgufFile& file, const WeightSpec& spec, const Sources& sources,
                               const ModelConfig& config) {
  LS_ASSIGN_OR_RETURN(const GgufTensor source, find_values(file, spec, sources, config));
  HostTensor tensor{spec.name, spec.shape,
                    std::vector<float>(static_cast<size_t>(source.elements()))};
  if (is_interleaved(spec.name, config)) {
    LS_RETURN_IF_ERROR(
        dequantize_interleaved(source, config.head_dim, tensor).with_context(file.path()));
  } else {
    dequantize(*source.type, source.bytes.data(), source.elements(), tensor.data.data());
  }
  // llama.cpp's converter adds the one (convert_hf_to_gguf.py, norm_shift).
  const bool plus_one = config.facts.norm_plus_one && spec.name.ends_with("norm.weight");
  for (float& value : tensor.data) value -= plus_one ? 1 : 0;
  return tensor;
}

Status check_extras(const GgufFile& file, const std::vector<WeightSpec>& specs,
                    const Sources& sources, const ModelConfig& config) {
  std::set<std::string> expected = {kRopeFactors};  // already part of the configuration
  if (find_model_type(config.model_type)->only_longrope)
    expected.insert({kLongFactors, kShortFactors});
  for (const WeightSpec& spec : specs) {
    const Source source = source_of(spec.name, sources);
    expected.insert({source.name, source.own_name});
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (!expected.contains(name)) {
      return corrupt(fmt::format("{}: tensor '{}' {} is none of this {} model's", file.path(), name,
                                 shape_text(tensor.shape), config.model_type));
    }
  }
  return ok_status();
}

Result<std::string> text_or_empty(const GgufFile& file, const char* key) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::string();
  if (!value.is_string())
    return corrupt(fmt::format("{}: key '{}' is not a string", file.path(), key));
  return value.get<std::string>();
}

// None if the key does not exist. Some writers store 0 and 1 instead of a bool.
Result<std::optional<bool>> flag(const GgufFile& file, const char* key) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::optional<bool>();
  if (value.is_boolean()) return std::optional<bool>(value.get<bool>());
  if (value == 0 || value == 1) return std::optional<bool>(value == 1);
  return corrupt(
      fmt::format("{}: key '{}' is {}, expected a bool", file.path(), key, dump_json(value)));
}

Result<std::optional<tokenizer::TokenId>> token_id(const GgufFile& file, const char* key,
                                                   size_t tokens) {
  LS_ASSIGN_OR_RETURN(const Json value, file.scalar(key));
  if (value.is_null()) return std::optional<tokenizer::TokenId>();
  if (!value.is_number_integer() || value < 0 || value >= tokens) {
    return corrupt(fmt::format("{}: key '{}' is {}, no id of the {} tokens", file.path(), key,
                               dump_json(value), tokens));
  }
  return std::optional<tokenizer::TokenId>(value.get<tokenizer::TokenId>());
}

}  // namespace

Result<std::vector<HostTensor>> read_gguf_weights(const GgufFile& file, const ModelConfig& config) {
  const std::vector<WeightSpec> specs = expected_weights(config);
  const Sources sources = sources_of(config);
  LS_RETURN_IF_ERROR(check_extras(file, specs, sources, config));
  std::vector<HostTensor> tensors;
  tensors.reserve(specs.size());
  for (const WeightSpec& spec : specs) {
    LS_ASSIGN_OR_RETURN(HostTensor tensor, read_tensor(file, spec, sources, config));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const GgufFile& file) {
  tokenizer::GgufVocabulary v;
  LS_ASSIGN_OR_RETURN(v.model, text_or_empty(file, "tokenizer.ggml.model"));
  LS_ASSIGN_OR_RETURN(v.pre, text_or_empty(file, "tokenizer.ggml.pre"));
  LS_ASSIGN_OR_RETURN(v.tokens, file.strings("tokenizer.ggml.tokens"));
  LS_ASSIGN_OR_RETURN(v.token_types, file.integers("tokenizer.ggml.token_type"));
  LS_ASSIGN_OR_RETURN(v.merges, file.strings("tokenizer.ggml.merges"));
  LS_ASSIGN_OR_RETURN(v.scores, file.floats("tokenizer.ggml.scores"));
  LS_ASSIGN_OR_RETURN(v.chat_template, text_or_empty(file, "tokenizer.chat_template"));
  if (v.tokens.empty()) return v;  // a file without a vocabulary may still name special ids
  if (v.token_types.empty()) v.token_types.assign(v.tokens.size(), 1);
  if (v.token_types.size() != v.tokens.size()) {
    return corrupt(fmt::format("{}: {} tokens but {} token types", file.path(), v.tokens.size(),
                               v.token_types.size()));
  }
  const size_t n = v.tokens.size();
  LS_ASSIGN_OR_RETURN(v.bos, token_id(file, "tokenizer.ggml.bos_token_id", n));
  LS_ASSIGN_OR_RETURN(v.eos, token_id(file, "tokenizer.ggml.eos_token_id", n));
  LS_ASSIGN_OR_RETURN(v.pad, token_id(file, "tokenizer.ggml.padding_token_id", n));
  LS_ASSIGN_OR_RETURN(v.unknown, token_id(file, "tokenizer.ggml.unknown_token_id", n));
  LS_ASSIGN_OR_RETURN(v.add_bos, flag(file, "tokenizer.ggml.add_bos_token"));
  LS_ASSIGN_OR_RETURN(v.add_space_prefix, flag(file, "tokenizer.ggml.add_space_prefix"));
  LS_ASSIGN_OR_RETURN(const auto add_eos, flag(file, "tokenizer.ggml.add_eos_token"));
  if (add_eos.value_or(false)) {
    return invalid_argument(file.path() +
                            ": tokenizer.ggml.add_eos_token is true, which is not supported: every "
                            "prompt would end with the token that ends an answer");
  }
  return v;
}

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return read_gguf_vocabulary(file);
}

}  // namespace longshot::model

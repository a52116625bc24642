// Writes config.json and generation_config.json.
#include <cmath>
#include <string>

#include "base/check.h"
#include "model/format/config.h"
#include "model/format/experts.h"
#include "model/format/model_types.h"
#include "model/format/windows.h"

namespace longshot::model {
namespace {
// One id as an integer, several as a list: the form both libraries write.
Json eos_json(const ModelConfig& config) {
  if (config.eos_token_ids.empty()) return nullptr;
  if (config.eos_token_ids.size() == 1) return config.eos_token_ids[0];
  return config.eos_token_ids;
}

std::string class_name(const ModelType& type, const ModelConfig& config) {
  if (!config.score_head) return std::string(type.class_name) + "ForCausalLM";
  const bool own = type.classifier_name != nullptr;
  return std::string(own ? type.classifier_name : type.class_name) + "ForSequenceClassification";
}

// Gemma has another name for the same key.
void write_activation(const ModelConfig& config, Json& json) {
  if (config.facts.activation == Activation::silu) {
    json["hidden_act"] = "silu";
  } else {
    json["hidden_activation"] = "gelu_pytorch_tanh";
  }
}

void write_multipliers(const ModelType& type, const ModelConfig& c, Json& json) {
  const auto cap = [](double value) { return value > 0 ? Json(value) : Json(); };
  if (type.multipliers) {
    json["embedding_multiplier"] = c.embedding_multiplier;
    json["residual_multiplier"] = c.residual_multiplier;
    json["attention_multiplier"] = c.attention_multiplier;
    json["logits_scaling"] = c.logits_scaling;
  }
  if (!type.gemma_scales) return;
  json["query_pre_attn_scalar"] =
      std::llround(1 / (c.attention_multiplier * c.attention_multiplier));
  json["final_logit_softcapping"] = cap(c.logit_softcap);
  if (type.attention_cap) json["attn_logit_softcapping"] = cap(c.attention_softcap);
}

}  // namespace

Json generation_config_to_json(const ModelConfig& config) {
  Json json = {{"eos_token_id", eos_json(config)}};
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  return json;
}

Json config_to_json(const ModelConfig& config) {
  const ModelType* type = find_model_type(config.model_type);
  LS_CHECK(type != nullptr, "unknown model_type " + config.model_type);
  Json json = {{"architectures", {class_name(*type, config)}},
               {"model_type", config.model_type},
               {"vocab_size", config.vocab_size},
               {"hidden_size", config.hidden_size},
               {"intermediate_size", config.intermediate_size},
               {"num_hidden_layers", config.num_layers},
               {"num_attention_heads", config.num_heads},
               {"num_key_value_heads", config.num_kv_heads},
               {"head_dim", config.head_dim},
               {"max_position_embeddings", config.max_position_embeddings},
               {"rms_norm_eps", config.rms_norm_eps},
               {"tie_word_embeddings", config.tie_word_embeddings},
               {"attention_dropout", 0.0},
               {"initializer_range", 0.02},
               {"use_cache", true},
               {"bos_token_id", config.bos_token_id ? Json(*config.bos_token_id) : Json(nullptr)},
               {"eos_token_id", eos_json(config)}};
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  if (config.score_head) {
    json["id2label"] = {{"0", "LABEL_0"}};
    json["label2id"] = {{"LABEL_0", 0}};
  }
  write_activation(config, json);
  const bool has_attention_bias = type->attention_bias == AttentionBias::by_key ||
                                  type->attention_bias == AttentionBias::qkv_by_key;
  if (has_attention_bias) json["attention_bias"] = config.qkv_bias;
  if (type->mlp_bias) json["mlp_bias"] = config.mlp_bias;
  write_multipliers(*type, config, json);
  if (type->no_rope_layers) {
    for (int layer = 0; layer < config.num_layers; ++layer)
      json["no_rope_layers"].push_back(config.rotates(layer) ? 1 : 0);
  }
  write_experts(*type, config, json);
  write_windows(*type, config, json);
  write_rope(config, json);
  for (const char* key : {"dtype", "torch_dtype"}) json[key] = config.dtype;
  return json;
}

}  // namespace longshot::model

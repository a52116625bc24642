#include "model/format/experts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace longshot::model {
namespace {

constexpr int kMaxExperts = 1 << 12, kMaxWidth = 1 << 20;
constexpr const char* kDenseLayers = "mlp_only_layers";

// Layers with an MLP: those that mlp_only_layers names, and all but each decoder_sparse_step-th.
std::vector<bool> dense_layers(ConfigReader& json, const ModelConfig& config) {
  const int step = json.integer("decoder_sparse_step", 1, 1, kMaxWidth);
  std::vector<bool> dense;
  for (int layer = 0; layer < config.num_layers; ++layer) dense.push_back((layer + 1) % step != 0);
  if (json.has(kDenseLayers)) {
    const Json& list = json.at(kDenseLayers);
    if (!list.is_array()) {
      json.fail(kDenseLayers,
                "is " + ConfigReader::show(list) + ", expected a list of numbers of layers");
      return {};
    }
    for (const Json& layer : list) {
      const int64_t index = json.checked_integer(kDenseLayers, layer, 0, kMaxWidth);
      if (index < config.num_layers) dense[index] = true;
    }
  }
  return std::ranges::count(dense, true) > 0 ? dense : std::vector<bool>{};
}

}  // namespace

void read_experts(ConfigReader& json, const ModelType& type, ModelConfig& config) {
  if (!type.experts) {
    for (const char* key : {"num_local_experts", "num_experts"}) {
      if (json.has(key) && json.at(key) != 0)
        json.fail(key, fmt::format("is {}, but a {} model has no experts",
                                   ConfigReader::show(json.at(key)), config.model_type));
    }
    return;
  }
  Experts& e = config.experts;
  const char* count = json.has("num_experts") ? "num_experts" : "num_local_experts";
  e.count = json.integer(count, type.expert_keys ? 128 : 8, 1, kMaxExperts);
  e.per_token = json.integer("num_experts_per_tok", type.expert_keys ? 8 : 2, 1, kMaxExperts);
  e.width = config.intermediate_size;
  if (type.expert_keys) {
    e.width = json.integer("moe_intermediate_size", 768, 1, kMaxWidth);
    e.normalized = json.flag("norm_topk_prob", false);
    e.dense_layers = dense_layers(json, config);
  }
  if (json.number("router_jitter_noise", 0, 0, 1) != 0)
    log::warn("router_jitter_noise is not applied: longshot adds no noise to the router");
  if (json.flag("output_router_logits", false))
    log::warn(
        "router_aux_loss_coef is not applied: longshot has no loss that balances the experts");
}

Status check_experts(const ModelType& type, const ModelConfig& c, const std::string& where) {
  const auto wrong = [&](const std::string& what) { return invalid_argument(where + ": " + what); };
  const Experts& e = c.experts;
  if (!type.experts) {
    if (e == Experts{}) return ok_status();
    return wrong(fmt::format("no {} model has experts", c.model_type));
  }
  if (e.count < 1 || e.count > kMaxExperts)
    return wrong(fmt::format("'num_experts' is {}, expected 1 to {}", e.count, kMaxExperts));
  if (e.per_token < 1 || e.per_token > e.count) {
    return wrong(fmt::format("'num_experts_per_tok' is {}, but a layer has {} experts", e.per_token,
                             e.count));
  }
  if (e.width < 1 || e.width > kMaxWidth)
    return wrong(
        fmt::format("'moe_intermediate_size' is {}, expected 1 to {}", e.width, kMaxWidth));
  const bool plain = e.width == c.intermediate_size && e.normalized && e.dense_layers.empty();
  if (!type.expert_keys && !plain)
    return wrong(fmt::format("no {} model has these experts", c.model_type));
  const auto dense = std::ranges::count(e.dense_layers, true);
  if (!e.dense_layers.empty() &&
      (static_cast<int>(e.dense_layers.size()) != c.num_layers || dense == 0)) {
    return wrong(fmt::format("'{}' is not about {} layers", kDenseLayers, c.num_layers));
  }
  if (dense == c.num_layers)
    return wrong(fmt::format("'{}' names all layers, so none has experts", kDenseLayers));
  return ok_status();
}

void write_experts(const ModelType& type, const ModelConfig& config, Json& json) {
  if (!type.experts) return;
  const Experts& e = config.experts;
  json[type.expert_keys ? "num_experts" : "num_local_experts"] = e.count;
  json["num_experts_per_tok"] = e.per_token;
  json["output_router_logits"] = false;
  if (!type.expert_keys) return;
  json["moe_intermediate_size"] = e.width;
  json["norm_topk_prob"] = e.normalized;
  json["decoder_sparse_step"] = 1;
  json[kDenseLayers] = Json::array();
  for (int layer = 0; layer < config.num_layers; ++layer) {
    if (!config.has_experts(layer)) json[kDenseLayers].push_back(layer);
  }
}

}  // namespace longshot::model

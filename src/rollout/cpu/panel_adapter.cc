#include "rollout/cpu/panel_adapter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kernels/aligned.h"
#include "model/format/architecture.h"

namespace longshot::rollout::cpu {
namespace {

using kernels::kPanel;

// Where a linear layer's output is in the y of its product.
struct Place {
  Product product;
  int column = 0, step = 1;
};

Place place_of(const model::ModelConfig& c, model::Role role) {
  const int q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  switch (role) {
    case model::Role::k:
      return {Product::qkv, q};
    case model::Role::v:
      return {Product::qkv, q + kv};
    case model::Role::out:
      return {Product::out};
    case model::Role::gate:  // the panels of gate and up alternate
      return {Product::gate_up, 0, 2};
    case model::Role::up:
      return {Product::gate_up, kPanel, 2};
    case model::Role::down:
      return {Product::down};
    default:
      return {Product::qkv};
  }
}

// A part of a linear module and its place. A fused module has several parts.
struct ModulePart {
  int layer = 0;
  Place place;
  int64_t first = 0, rows = 0;  // of the module's output
};

std::map<std::string, std::vector<ModulePart>> parts_by_module(const model::ModelConfig& c) {
  using model::Role;
  std::map<std::string, std::vector<ModulePart>> parts;
  for (int layer = 0; layer < c.num_layers; ++layer) {
    for (const Role role :
         {Role::q, Role::k, Role::v, Role::out, Role::gate, Role::up, Role::down}) {
      const bool of_mlp = role == Role::gate || role == Role::up || role == Role::down;
      if (of_mlp && c.has_experts(layer)) continue;
      const model::RowsOfModule rows = model::rows_of(c, layer, role);
      parts[rows.module].push_back({layer, place_of(c, role), rows.first, rows.rows});
    }
  }
  return parts;
}

AdapterPart part_of(const model::AdapterPair& pair, const ModulePart& of) {
  AdapterPart part;
  part.column = of.place.column;
  part.step = of.place.step;
  const int rank = pair.lora.rank, rows = static_cast<int>(of.rows);
  part.a.reset(rank, pair.in);
  part.a.set_rows(0, rank, pair.a.data());
  const auto begin = pair.b.begin() + of.first * rank;
  std::vector<float> scaled(begin, begin + of.rows * rank);
  const auto scale = static_cast<float>(pair.lora.scale());
  for (float& value : scaled) value *= scale;
  part.b.reset(rows, rank);
  part.b.set_rows(0, rows, scaled.data());
  return part;
}

}  // namespace

Result<std::shared_ptr<const PanelAdapter>> PanelAdapter::make(const model::Adapter& adapter,
                                                               const model::ModelConfig& config) {
  const auto parts = parts_by_module(config);
  auto made = std::make_shared<PanelAdapter>();
  made->config_ = config;
  made->layers_.resize(config.num_layers);
  for (const model::AdapterPair& pair : adapter.pairs) {
    const auto found = parts.find(pair.module);
    if (found == parts.end()) {
      return invalid_argument("the CPU runner cannot apply an adapter to the module '" +
                              pair.module + "'");
    }
    for (const ModulePart& of : found->second) {
      auto& products = made->layers_[of.layer];
      products[static_cast<size_t>(of.place.product)].push_back(part_of(pair, of));
    }
  }
  return std::shared_ptr<const PanelAdapter>(std::move(made));
}

int64_t PanelAdapter::bytes() const {
  size_t total = 0;
  for (const auto& layer : layers_) {
    for (const auto& product : layer) {
      for (const AdapterPart& part : product) total += part.a.bytes() + part.b.bytes();
    }
  }
  return static_cast<int64_t>(total);
}

bool PanelAdapter::fits(const model::ModelConfig& c) const {
  const auto sizes = [](const model::ModelConfig& of) {
    return std::array{of.num_layers,   of.hidden_size, of.num_heads,
                      of.num_kv_heads, of.head_dim,    of.intermediate_size};
  };
  return sizes(c) == sizes(config_);
}

}  // namespace longshot::rollout::cpu

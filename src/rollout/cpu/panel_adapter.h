#pragma once
// A low-rank adapter (Hu et al., 2106.09685) in the form the kernels read: y = W x + s B (A x).

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/products/panel_matrix.h"
#include "model/format/adapters/adapter.h"
#include "rollout/runner_adapter.h"

namespace longshot::rollout::cpu {

// The products of a layer. Each computes, from one x, one or several linear layers that may have an
// adapter; see PanelLayer.
enum class Product { qkv, out, gate_up, down };
inline constexpr int kProducts = 4;

// The adapter of one linear layer, always in f32.
struct AdapterPart {
  kernels::PanelMatrix a;  // [rank, in]
  kernels::PanelMatrix b;  // [out, rank], times s
  int column = 0;          // of the product's y: where the layer's first panel begins
  int step = 1;            // panels of y from one panel of the layer to its next
};

class PanelAdapter final : public RunnerAdapter {
 public:
  // Copies the matrices. Error: a pair belongs to a module that is not a linear layer of a block.
  static Result<std::shared_ptr<const PanelAdapter>> make(const model::Adapter& adapter,
                                                          const model::ModelConfig& config);

  // The layers of this product that have an adapter; none if there are none.
  std::span<const AdapterPart> parts(int layer, Product product) const {
    return layers_[layer][static_cast<size_t>(product)];
  }
  int64_t bytes() const override;
  // True if it was made for a network of these sizes.
  bool fits(const model::ModelConfig& config) const;

 private:
  std::vector<std::array<std::vector<AdapterPart>, kProducts>> layers_;
  model::ModelConfig config_;
};

}  // namespace longshot::rollout::cpu

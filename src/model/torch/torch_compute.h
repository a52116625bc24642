#pragma once
// Passes through libtorch, on any of its devices: the reference forward pass, and autograd for the
// layers. Prompts are not shared, all activations are kept, and an expected gradient is of no use.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>

#include "model/compute.h"

namespace longshot::model {

class TorchCompute final : public Compute {
 public:
  // products: of the layers, f32 or bf16; sets weights.bf16_products().
  TorchCompute(Weights& weights, NumberFormat products);

  static PassSize size_of_pass(int64_t wanted);  // the work of forecast_pass_size()

  PassSize pass_size(int64_t wanted) const override { return size_of_pass(wanted); }
  int64_t activation_bytes() const override { return 0; }
  void free_activations() override {}  // each pass frees its own
  TokenLogprobs logprobs(const Predictions& predictions, const LogprobOptions& options) override;
  using Compute::backward;
  void backward(std::span<const float> grad, std::span<const float> entropy_grad) override;
  kernels::ConstRows hidden(const PackedBatch& batch, std::span<const int64_t> rows,
                            bool for_backward) override;
  void backward_hidden(kernels::ConstRows grad) override;

 private:
  // Hidden states at `rows`, [rows, hidden]; with a graph behind them if `for_backward`.
  at::Tensor run_layers(const PackedBatch& batch, std::span<const int64_t> rows, bool for_backward);
  void differentiate_layers(const at::Tensor& grad);

  // The current pass.
  at::Tensor gathered_;                     // run_layers(); undefined if no backward may follow
  at::Tensor host_;                         // what hidden() returned
  std::optional<Predictions> predictions_;  // nullopt: the head is the caller's
};

}  // namespace longshot::model

#pragma once
// Passes on the CPU's own kernels (model/cpu/), with shared prompts and a choice of what is kept
// for the backward pass.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/compute.h"
#include "model/cpu/decoder.h"
#include "model/cpu/head.h"

namespace longshot::model {

class CpuCompute final : public Compute {
 public:
  // True if all weights are on the CPU, f32 and contiguous.
  static bool supports(const Weights& weights);

  struct Options {
    int threads = 1;
    // Of the products of layers and head: f32 or bf16 (kernels/products/dense.h).
    NumberFormat products = NumberFormat::f32;
    // nullopt: the mode with the least recomputation that keeps at most `activation_limit` bytes.
    std::optional<cpu::Checkpointing> checkpointing = cpu::Checkpointing::none;
    int64_t activation_limit = 0;
  };
  CpuCompute(Weights& weights, const Options& options);

  // The work of forecast_pass_size() and forecast_activation_bytes().
  static PassSize size_of_pass(const ModelConfig& config, int64_t wanted);
  static int64_t forecast_bytes(const ModelConfig& config, const Options& options, int64_t tokens,
                                int64_t targets, int lora_rank);

  PassSize pass_size(int64_t wanted) const override { return size_of_pass(config_, wanted); }
  int64_t activation_bytes() const override { return std::max(most_bytes_, bytes_now()); }
  void free_activations() override;
  // With an expected gradient the head is computed only once. If backward() receives a different
  // gradient, the head computes the difference in addition.
  TokenLogprobs logprobs(const Predictions& predictions, const LogprobOptions& options) override;
  using Compute::backward;
  void backward(std::span<const float> grad, std::span<const float> entropy_grad) override;
  kernels::ConstRows hidden(const PackedBatch& batch, std::span<const int64_t> rows,
                            bool for_backward) override;
  void backward_hidden(kernels::ConstRows grad) override;

 private:
  int64_t bytes_now() const;
  void run_layers(const PackedBatch& batch, std::span<const int64_t> rows, bool for_backward);
  void differentiate_layers(kernels::ConstRows grad);
  cpu::Head::Problem head_problem() const;
  void correct_head(std::span<const float> grad);

  const ModelConfig config_;
  const Options options_;
  ThreadPool pool_;
  std::optional<cpu::Decoder> decoder_;  // always there; made anew to free its memory
  std::optional<cpu::Head> head_;

  int64_t most_bytes_ = 0;  // before the memory was freed

  // The current pass.
  const PackedBatch* batch_ = nullptr;
  std::span<const int64_t> rows_;           // of the batch, at which the hidden states are wanted
  bool kept_ = false;                       // whether a backward may follow
  std::optional<Predictions> predictions_;  // nullopt: the head is the caller's
  std::span<const float> expected_gradient_;
  std::vector<kernels::PromptFamily> families_;
  std::vector<float> log_sums_, entropies_;
  cpu::Activations gathered_, dgathered_, dcorrection_, dhidden_;
};

}  // namespace longshot::model

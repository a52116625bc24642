#pragma once
// Log-probabilities and gradients of a packed batch on the CPU's own kernels (model/cpu/): what hidden_states() and
// logprob.h compute through libtorch, with shared prompts and a choice of what is kept for the backward pass.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/cpu/decoder.h"
#include "model/cpu/head.h"
#include "model/torch/forward.h"
#include "model/torch/logprob.h"
#include "model/weights.h"

namespace longshot::model {

// Not thread-safe.
class CpuCompute {
 public:
  // Weights on the CPU, f32 and contiguous.
  static bool supports(const Weights& weights);

  // products: of the layers and the head, f32 or bf16 (kernels/products/dense.h).
  CpuCompute(const ModelConfig& config, int threads, NumberFormat products = NumberFormat::f32);

  struct Request {
    const PackedBatch* batch = nullptr;
    const std::vector<int64_t>* predictors = nullptr;  // [targets] rows of the batch, in any order
    const std::vector<int32_t>* targets = nullptr;     // [targets]
    double temperature = 1;
    bool with_entropy = false;
    bool for_backward = false;
    cpu::Checkpointing checkpointing = cpu::Checkpointing::none;
    // [targets] the d loss / d logprobs that backward() will be given, if that can be told before; needs for_backward.
    // The head is then computed once and not twice. Should backward() be given another, what is different is computed in
    // addition.
    const std::vector<float>* expected_gradient = nullptr;
  };
  // All of the request is borrowed until backward().
  TokenLogprobs forward(Weights& weights, const Request& request);
  // From grad[i] = d loss / d logprobs[i]; adds to the gradients of the weights that require one. Once.
  void backward(Weights& weights, const std::vector<float>& grad);

  // The layers alone, for a head of the caller's own: the hidden states at the predictors after the final norm,
  // [predictors, hidden], valid until the next pass. Of the request, batch, predictors, for_backward and checkpointing
  // count.
  kernels::ConstRows forward_hidden(Weights& weights, const Request& request);
  // From the gradient at what it returned; adds to the gradients of the weights that require one. Once.
  void backward_hidden(Weights& weights, kernels::ConstRows grad);

  // Memory of the decoder's activations, and of the head's rows and logits.
  int64_t activation_bytes() const;

 private:
  cpu::Head::Problem problem(const Weights& weights) const;
  void correct_head(Weights& weights, const std::vector<float>& grad);

  ModelConfig config_;
  ThreadPool pool_;
  cpu::Decoder decoder_;
  cpu::Head head_;
  Request request_;
  std::vector<kernels::Family> families_;
  cpu::Activations gathered_, dgathered_, dcorrection_, dhidden_;
  std::vector<float> log_sums_;
};

}  // namespace longshot::model

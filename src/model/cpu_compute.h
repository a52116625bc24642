#pragma once
// Log-probabilities and gradients of a packed batch on the CPU's own kernels (model/cpu/). Computes
// the same as hidden_states() and logprob.h do through libtorch, and adds shared prompts and a
// choice of what is kept for the backward pass.

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
  // True if all weights are on the CPU, f32 and contiguous.
  static bool supports(const Weights& weights);

  // products: the format of the products of layers and head, f32 or bf16
  // (kernels/products/dense.h).
  CpuCompute(const ModelConfig& config, int threads, NumberFormat products = NumberFormat::f32);

  struct Request {
    const PackedBatch* batch = nullptr;
    const std::vector<int64_t>* predictors = nullptr;  // [targets] rows of the batch, in any order
    const std::vector<int32_t>* targets = nullptr;     // [targets]
    double temperature = 1;
    bool with_entropy = false;
    bool for_backward = false;
    cpu::Checkpointing checkpointing = cpu::Checkpointing::none;
    // [targets] the d loss / d logprobs that backward() will receive, if it is known beforehand;
    // needs for_backward. The head is then computed only once. If backward() receives a different
    // gradient, the head computes the difference in addition.
    const std::vector<float>* expected_gradient = nullptr;
  };
  // Everything that `request` points to is borrowed until backward().
  TokenLogprobs forward(Weights& weights, const Request& request);
  // Given grad[i] = d loss / d logprobs[i], adds to the gradients of the weights that require one.
  // May be called once.
  void backward(Weights& weights, const std::vector<float>& grad);

  // Runs only the layers, for callers with a head of their own. Returns the hidden states at the
  // predictors after the final norm, [predictors, hidden], valid until the next pass. Of the
  // request, only batch, predictors, for_backward and checkpointing are used.
  kernels::ConstRows forward_hidden(Weights& weights, const Request& request);
  // `grad` is the gradient at the rows that forward_hidden() returned. Adds to the gradients of the
  // weights that require one. May be called once.
  void backward_hidden(Weights& weights, kernels::ConstRows grad);

  // Bytes of the decoder's activations and of the head's rows and logits.
  int64_t activation_bytes() const;

 private:
  cpu::Head::Problem problem(const Weights& weights) const;
  void correct_head(Weights& weights, const std::vector<float>& grad);

  ModelConfig config_;
  ThreadPool pool_;
  cpu::Decoder decoder_;
  cpu::Head head_;
  Request request_;
  std::vector<kernels::PromptFamily> families_;
  cpu::Activations gathered_, dgathered_, dcorrection_, dhidden_;
  std::vector<float> log_sums_;
};

}  // namespace longshot::model

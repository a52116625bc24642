#pragma once
// Log-probabilities and gradients of a packed batch on the CPU's own kernels (model/cpu/): what hidden_states() and
// logprob.h compute through libtorch, with shared prompts and a choice of what is kept for the backward pass.

#include <cstdint>
#include <memory>
#include <vector>

#include "model/cpu/decoder.h"
#include "model/cpu/head.h"
#include "model/forward.h"
#include "model/logprob.h"
#include "model/weights.h"

namespace longshot::model {

// Not thread-safe.
class CpuCompute {
 public:
  // Weights on the CPU, f32 and contiguous.
  static bool supports(const Weights& weights);

  CpuCompute(const ModelConfig& config, int threads);

  struct Request {
    const PackedBatch* batch = nullptr;
    const std::vector<int64_t>* predictors = nullptr;  // [targets] rows of the batch, in any order
    const std::vector<int32_t>* targets = nullptr;     // [targets]
    double temperature = 1;
    bool with_entropy = false;
    bool for_backward = false;
    cpu::Checkpointing checkpointing = cpu::Checkpointing::none;
    // [targets] d loss / d logprobs, where it does not depend on them; needs for_backward and no entropy. The head is
    // then computed once and not twice, and backward() has to be given the same.
    const std::vector<float>* known_gradient = nullptr;
  };
  // All of the request is borrowed until backward().
  TokenLogprobs forward(Weights& weights, const Request& request);
  // From grad[i] = d loss / d logprobs[i]; adds to the gradients of the weights that require one. Once.
  void backward(Weights& weights, const std::vector<float>& grad);

  int64_t activation_bytes() const { return decoder_.activation_bytes(); }

 private:
  cpu::Head::Problem problem(const Weights& weights) const;

  ModelConfig config_;
  ThreadPool pool_;
  cpu::Decoder decoder_;
  cpu::Head head_;
  Request request_;
  std::vector<kernels::Family> families_;
  cpu::Activations gathered_, dgathered_, dhidden_;
  std::vector<float> log_sums_;
};

}  // namespace longshot::model

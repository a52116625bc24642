#pragma once
// Passes over a model: from a packed batch to log-probabilities, or to hidden states for a head of
// the caller's, and back to the gradients of the weights. There are two implementations: the
// kernels of model/cpu/ (CpuCompute) and libtorch (TorchCompute). make_compute() chooses; the
// results are the same up to rounding.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "kernels/products/dense.h"
#include "model/compute_options.h"
#include "model/pass.h"
#include "model/weights.h"

namespace longshot::model {

struct LogprobOptions {
  bool with_entropy = false;
  bool for_backward = false;  // keep what backward() needs
  // [targets] the gradient that backward() will probably receive; empty if it is not known. Needs
  // for_backward; borrowed until backward(). A correct prediction makes the pass faster, and the
  // result is correct in any case.
  std::span<const float> expected_gradient = {};
};

// Not thread-safe, and one pass at a time: a pass ends with its backward, or with the next pass.
// The batch of a pass is borrowed until then.
class Compute {
 public:
  virtual ~Compute() = default;
  Compute(const Compute&) = delete;
  Compute& operator=(const Compute&) = delete;

  Weights& weights() { return weights_; }
  const Weights& weights() const { return weights_; }

  // wanted: packed tokens of a pass; 0 for the fastest size. A batch may have sequences that
  // continue another one only if the result says `share_prompts`.
  virtual PassSize pass_size(int64_t wanted) const = 0;
  // Bytes of activations of the largest pass so far; 0 if the implementation does not know them.
  virtual int64_t activation_bytes() const = 0;
  // Frees the memory that is kept from pass to pass. No pass may be under way.
  virtual void free_activations() = 0;

  // Log-probabilities of the targets, through the model's output head.
  virtual TokenLogprobs logprobs(const Predictions& predictions, const LogprobOptions& options) = 0;
  // Follows logprobs() with for_backward. Given grad[i] = d loss / d logprobs[i], and
  // entropy_grad[i] = d loss / d entropy[i] (empty: all 0), adds to the gradients of the weights
  // that require one. Entropies have a gradient only if the pass was made with_entropy and had no
  // expected gradient.
  void backward(std::span<const float> grad) { backward(grad, {}); }
  virtual void backward(std::span<const float> grad, std::span<const float> entropy_grad) = 0;

  // Hidden states after the final norm at the given rows of the batch, [rows, hidden], on the host.
  // Valid until the next pass.
  virtual kernels::ConstRows hidden(const PackedBatch& batch, std::span<const int64_t> rows,
                                    bool for_backward) = 0;
  // Follows hidden() with for_backward. `grad` is d loss / d hidden at these rows. Adds to the
  // gradients of the weights that require one.
  virtual void backward_hidden(kernels::ConstRows grad) = 0;

 protected:
  explicit Compute(Weights& weights) : weights_(weights) {}

 private:
  Weights& weights_;
};

// The kernels of model/cpu/ if the options allow them and all weights are on the CPU, otherwise
// libtorch. `weights` must outlive the result at the same address; its values may change.
// threads: of the CPU kernels; 0 for libtorch's number.
std::unique_ptr<Compute> make_compute(Weights& weights, const ComputeOptions& options,
                                      int threads = 0);

// What make_compute() would give for weights on `device`, for forecasts that have no weights: the
// size of a pass, and the bytes of activations of a pass over `tokens` packed tokens with `targets`
// predictions (nullopt if they cannot be predicted). `lora_rank` is 0 without an adapter.
PassSize forecast_pass_size(const ModelConfig& config, const ComputeOptions& options,
                            const std::string& device, int64_t wanted);
std::optional<int64_t> forecast_activation_bytes(const ModelConfig& config,
                                                 const ComputeOptions& options,
                                                 const std::string& device, int64_t tokens,
                                                 int64_t targets, int lora_rank);

}  // namespace longshot::model

#pragma once
// The trainer's copy of a model: named leaf tensors with requires_grad, and low-rank adapters. Not
// thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "model/format/adapters/adapter.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/weights_view.h"

namespace longshot::model {

struct NamedTensor {
  std::string name;  // Hugging Face name
  at::Tensor tensor;
};

// Error: the name is not a device, or this machine or this libtorch does not have it.
Status check_device(const std::string& device);

class Weights {
 public:
  // Copies host arrays to `device` ("cpu", "cuda") as f32 leaves. Built outside InferenceMode on
  // purpose: a parameter made inside it never receives a gradient. Error: a missing, extra or
  // mis-shaped tensor, or a device that cannot be used.
  static Result<Weights> from_host(const ModelConfig& config,
                                   const std::vector<HostTensor>& tensors,
                                   const std::string& device);
  // Random initialisation, a function of the seed only: normal(0, 0.02), residual projections
  // scaled by 1/sqrt(2 * layers), norms 1, biases 0.
  static Weights random(const ModelConfig& config, uint64_t seed, const std::string& device);

  // Adds low-rank adapters to linear weights. From then on only the adapters are trainable, and the
  // score of a reward model; if the adapter has a score, it replaces the model's. The adapters'
  // tensors are called "model.layers.0.self_attn.q_proj.lora_A.weight" [rank, in] and
  // "...lora_B.weight" [out, rank].
  void add_adapter(const Adapter& adapter);
  // The options of modules without options of their own, but with the largest rank of any module.
  // Rank 0 if there is no adapter.
  const LoraOptions& lora() const { return lora_; }
  // The options of one module's adapter ("model.layers.0.self_attn.q_proj"). Rank 0 if it has none.
  LoraOptions lora(const std::string& module) const;
  Adapter adapter(const std::string& base) const;  // the current values

  // Freezes the weights whose names match one of the patterns (fnmatch: "model.layers.[0-9].*").
  // Errors: a pattern matches no weight, or only weights that are not trainable anyway; no
  // trainable weight is left.
  Status freeze(const std::vector<std::string>& patterns);
  int64_t trained_parameters() const;

  // If on, libtorch computes the products of the layers in bfloat16, from f32 weights and
  // activations that are rounded on the way. Their results, and everything else, stay f32.
  void set_bf16_products(bool on) { bf16_products_ = on; }
  bool bf16_products() const { return bf16_products_; }

  const ModelConfig& config() const { return config_; }
  // In the order of expected_weights(config), followed by the adapters' tensors. Tensors may be
  // replaced, names may not.
  std::vector<NamedTensor>& tensors() { return tensors_; }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const at::Tensor& at(const std::string& name) const;    // dies if absent
  const at::Tensor* find(const std::string& name) const;  // null if absent
  at::Tensor& at(const std::string& name);                // dies if absent
  at::Device device() const;

  // The same weights without the adapters. The tensors share their storage with this object's.
  Weights base() const;
  Weights clone() const;  // real copies, no shared storage, requires_grad kept, no gradients
  void zero_grad();       // gradients become undefined
  // A borrowed f32 host view of the model with adapters merged. On a CPU it points at the tensors
  // themselves (zero copy; valid until they change). Adapted weights, and all weights of another
  // device, are first copied into `host_copy`, which must outlive the view.
  WeightsView view(int64_t version, std::vector<at::Tensor>& host_copy) const;
  // The same for a writer that reads one tensor after the other: at most one is copied at a time.
  // This object must outlive the view.
  WeightsView lazy_view(int64_t version) const;

 private:
  Weights(ModelConfig config, std::vector<NamedTensor> tensors);
  void add(const std::string& name, at::Tensor tensor);
  at::Tensor merged(const NamedTensor& named) const;  // merges the adapter; on the host

  ModelConfig config_;
  std::vector<NamedTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;  // name -> position in tensors_
  LoraOptions lora_;
  LoraOptions adapter_lora_;  // options of the adapter as a whole, as in its file
  std::unordered_map<std::string, LoraOptions> module_lora_;
  bool bf16_products_ = false;
};

}  // namespace longshot::model

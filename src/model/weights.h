#pragma once
// The trainer's copy of a model: named leaf tensors with requires_grad. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/weights_view.h"

namespace longshot::model {

struct NamedTensor {
  std::string name;  // Hugging Face name
  at::Tensor tensor;
};

// Error: the name is no device, or this machine or this libtorch lacks it.
Status check_device(const std::string& device);

class Weights {
 public:
  // Copies host arrays to `device` ("cpu", "cuda") as f32 leaves. Built outside InferenceMode on
  // purpose: a parameter made inside it never receives a gradient. Error: a missing, extra or
  // mis-shaped tensor, or a device that cannot be used.
  static Result<Weights> from_host(const ModelConfig& config,
                                   const std::vector<HostTensor>& tensors,
                                   const std::string& device);
  // Random initialisation, a function of the seed alone: normal(0, 0.02), residual projections
  // scaled by 1/sqrt(2 * layers), norms 1, biases 0.
  static Weights random(const ModelConfig& config, uint64_t seed, const std::string& device);

  const ModelConfig& config() const { return config_; }
  // In the order of expected_weights(config). Tensors may be replaced, names may not.
  std::vector<NamedTensor>& tensors() { return tensors_; }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const at::Tensor& at(const std::string& name) const;  // dies if absent
  const at::Tensor* find(const std::string& name) const;  // null if absent
  at::Tensor& at(const std::string& name);              // dies if absent
  at::Device device() const;

  Weights clone() const;  // real copies, no shared storage, requires_grad kept, no gradients
  void zero_grad();       // gradients become undefined
  // Borrowed f32 host view. On a CPU it points at the tensors themselves (zero copy: valid until
  // they change); on another device the values are first copied into `host_copy`, which must
  // outlive the view.
  WeightsView view(int64_t version, std::vector<at::Tensor>& host_copy) const;

 private:
  Weights(ModelConfig config, std::vector<NamedTensor> tensors);

  ModelConfig config_;
  std::vector<NamedTensor> tensors_;
  std::unordered_map<std::string, size_t> index_;  // name -> position in tensors_
};

}  // namespace longshot::model

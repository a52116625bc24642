#include "train/frozen_model.h"

#include <utility>

namespace longshot::train {

FrozenModel::FrozenModel(model::Weights weights, const model::ComputeOptions& options)
    : weights_(std::move(weights)), compute_(model::make_compute(weights_, options)) {}

double FrozenModel::bytes_beside(const model::Weights& other) const {
  auto bytes = static_cast<double>(compute_->activation_bytes());
  for (const auto& [name, tensor] : weights_.tensors()) {
    const at::Tensor* twin = other.find(name);
    const bool shared = twin != nullptr && twin->const_data_ptr() == tensor.const_data_ptr();
    bytes += shared ? 0.0 : static_cast<double>(tensor.nbytes());
  }
  return bytes;
}

}  // namespace longshot::train

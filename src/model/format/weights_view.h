#pragma once
// All weights of a model as borrowed f32 arrays on the host: what publish/ hands to the rollout.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/format/config.h"

namespace longshot::model {

struct TensorView {
  std::string name;  // Hugging Face name
  std::vector<int64_t> shape;
  const float* data = nullptr;  // row-major, contiguous; borrowed
  // In place of `data` in a view to be written only (Weights::lazy_view): the array is brought to
  // the host when it is its turn. Valid until the next tensor's is called.
  std::function<const float*()> load = nullptr;
};

struct WeightsView {
  ModelConfig config;
  int64_t version = 0;              // policy version: counts the publishes of a run
  std::vector<TensorView> tensors;  // order of expected_weights(config)
};

}  // namespace longshot::model

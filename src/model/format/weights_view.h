#pragma once
// All weights of a model as borrowed f32 arrays on the host: what publish/ hands to the rollout.

#include <cstdint>
#include <string>
#include <vector>

#include "model/format/config.h"

namespace longshot::model {

struct TensorView {
  std::string name;  // Hugging Face name
  std::vector<int64_t> shape;
  const float* data = nullptr;  // row-major, contiguous; borrowed
};

struct WeightsView {
  ModelConfig config;
  int64_t version = 0;              // policy version: counts the publishes of a run
  std::vector<TensorView> tensors;  // order of expected_weights(config)
};

}  // namespace longshot::model

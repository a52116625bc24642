#pragma once
// All weights of a model as borrowed f32 arrays on the host. publish/ hands them to the rollout.

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
  // Replaces `data` in a view that is only written (Weights::lazy_view): copies the array to the
  // host when it is needed. The pointer is valid until the next tensor's `load` is called.
  std::function<const float*()> load = nullptr;
};

struct WeightsView {
  ModelConfig config;
  int64_t version = 0;              // policy version: the number of publishes of a run
  std::vector<TensorView> tensors;  // order of expected_weights(config)
};

}  // namespace longshot::model

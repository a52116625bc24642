#pragma once
// The arithmetic a model needs: multiply-adds of its matrix products and of attention, each counted
// as two operations, if nothing is computed twice or needlessly. Norms, activations and softmax are
// not counted.

#include "model/format/config.h"

namespace longshot::model {

struct Work {
  double tokens = 0;   // through the layers
  double targets = 0;  // positions through the output head
  double pairs = 0;    // (query, key) that see each other
};

double forward_flops(const ModelConfig& config, const Work& work);
// Forward and backward of all weights. Attention's backward pass has five products where its
// forward pass has two, because it computes the scores again.
double training_flops(const ModelConfig& config, const Work& work);

}  // namespace longshot::model

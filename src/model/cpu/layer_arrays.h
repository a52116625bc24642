#pragma once
// The weights of the decoder's layers, or their gradients, as borrowed arrays.

#include <vector>

#include "model/cpu/linear.h"

namespace longshot::model::cpu {

template <typename T>
struct ExpertArrays {
  LinearArrays<T> gate, up, down;
};

// Null if the model has no such weight or, among gradients, if the weight is not trained.
template <typename T>
struct LayerArrays {
  T *attention_norm = nullptr, *mlp_norm = nullptr, *q_norm = nullptr, *k_norm = nullptr;
  T *attention_post_norm = nullptr, *mlp_post_norm = nullptr;
  LinearArrays<T> q, k, v, out;
  LinearArrays<T> gate, up, down;        // of a layer without experts
  LinearArrays<T> router;                // of a layer with experts
  std::vector<ExpertArrays<T>> experts;  // the same; empty without
};
template <typename T>
struct DecoderArrays {
  T *embedding = nullptr, *final_norm = nullptr;  // [vocab, hidden], [hidden]
  std::vector<LayerArrays<T>> layers;
};

}  // namespace longshot::model::cpu

#pragma once
// Model shapes for which the benchmarks generate random weights.

#include "model/format/config.h"

namespace longshot::bench {

inline model::ModelConfig smollm2_shape() {
  model::ModelConfig c;
  c.vocab_size = 49152;
  c.hidden_size = 576;
  c.intermediate_size = 1536;
  c.num_layers = 30;
  c.num_heads = 9;
  c.num_kv_heads = 3;
  c.head_dim = 64;
  c.max_position_embeddings = 8192;
  c.rope_theta = 100000;
  c.tie_word_embeddings = true;
  return c;
}

inline model::ModelConfig tiny_shape() {
  model::ModelConfig c;
  c.vocab_size = 128;
  c.hidden_size = 192;
  c.intermediate_size = 512;
  c.num_layers = 6;
  c.num_heads = 6;
  c.num_kv_heads = 6;
  c.head_dim = 32;
  c.max_position_embeddings = 512;
  c.tie_word_embeddings = true;
  return c;
}

}  // namespace longshot::bench

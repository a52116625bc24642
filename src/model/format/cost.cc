#include "model/format/cost.h"

namespace longshot::model {
namespace {

// The number of weights in the matrices that a token passes through, in all layers.
double layer_weights(const ModelConfig& c) {
  const double q = static_cast<double>(c.num_heads) * c.head_dim;
  const double kv = static_cast<double>(c.num_kv_heads) * c.head_dim;
  double columns = 0;
  for (int layer = 0; layer < c.num_layers; ++layer) {
    columns += 2 * q + 2 * kv;
    columns += c.has_experts(layer) ? c.experts.count + 3.0 * c.experts.per_token * c.experts.width
                                    : 3.0 * c.intermediate_size;
  }
  return c.hidden_size * columns;
}

double product_flops(const ModelConfig& c, const Work& w) {
  return 2 * (w.tokens * layer_weights(c) + w.targets * c.hidden_size * c.vocab_size);
}

// The operations of one attention product: the scores, or the sum of the values.
double attention_flops(const ModelConfig& c, const Work& w) {
  return 2 * w.pairs * c.num_layers * c.num_heads * c.head_dim;
}

}  // namespace

double forward_flops(const ModelConfig& config, const Work& work) {
  return product_flops(config, work) + 2 * attention_flops(config, work);
}

double training_flops(const ModelConfig& config, const Work& work) {
  return 3 * product_flops(config, work) + 7 * attention_flops(config, work);
}

}  // namespace longshot::model

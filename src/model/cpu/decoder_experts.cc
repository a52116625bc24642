// The layers of the decoder that have experts.
#include <algorithm>
#include <utility>

#include "model/cpu/decoder.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;

// s.middle -> out = s.middle + experts(s.middle).
void Decoder::experts_forward(int layer, Saved& s, bool keep, Activations& out) {
  const LayerArrays<const float>& w = weights(layer);
  const int hidden = hidden_width(), width = experts_.gate_up_width();
  const int64_t per_token = config_.experts.per_token;
  s.routings.resize((rows_ + kMlpRows - 1) / kMlpRows);
  if (keep) s.gate_up.reset(rows_ * per_token, width);
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    if (!keep) expert_gate_up_.reset(rows * per_token, width);
    const Rows gate_up = keep ? rows_from(s.gate_up, begin * per_token) : expert_gate_up_.rows();
    kernels::Routing& routing = s.routings[begin / kMlpRows];
    const ConstRows in = input_rows(s.middle, w.mlp_norm, begin, rows);
    experts_.inner(w, in, rows, routing, gate_up);
    for_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = begin + first; r < begin + last; ++r)
        std::copy_n(s.middle.row(r), hidden, out.row(r));
    });
    experts_.outer(w, routing, {gate_up.data, gate_up.stride}, rows, rows_from(out, begin));
  }
}

// Turns dx_ from the gradient at the layer's output into that at s.middle.
void Decoder::experts_backward(int layer, Saved& s, const LayerArrays<float>& g) {
  const LayerArrays<const float>& w = weights(layer);
  const int64_t per_token = config_.experts.per_token;
  const bool kept = checkpointing_ == Checkpointing::none;
  s.routings.resize((rows_ + kMlpRows - 1) / kMlpRows);
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    if (!kept) expert_gate_up_.reset(rows * per_token, experts_.gate_up_width());
    const Rows gate_up = kept ? rows_from(s.gate_up, begin * per_token) : expert_gate_up_.rows();
    kernels::Routing& routing = s.routings[begin / kMlpRows];
    const ConstRows in = input_rows(s.middle, w.mlp_norm, begin, rows);
    if (!kept) experts_.inner(w, in, rows, routing, gate_up);
    dnormed_.reset(rows, hidden_width());
    experts_.backward(w, g, routing, in, {gate_up.data, gate_up.stride}, rows,
                      rows_from(std::as_const(dx_), begin), dnormed_.rows());
    input_rows_backward(s.middle, w.mlp_norm, begin, rows, dnormed_, g.mlp_norm);
  }
}

}  // namespace longshot::model::cpu

// The norms of a layer, and the addition of its results to the stream.
#include <algorithm>
#include <utility>

#include "kernels/rows/row_ops.h"
#include "model/cpu/decoder.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;

// The kernels read whole vectors, but the model's norm weights end at `width`.
void Decoder::load_norm_weight(const float* weight, int width, kernels::AlignedFloats& out) const {
  out.assign(kernels::round_up(width, kernels::kLane), 0.0f);
  std::copy_n(weight, width, out.begin());
  if (!config_.facts.norm_plus_one) return;
  for (int i = 0; i < width; ++i) out[i] += 1.0f;
}

void Decoder::norm(const Activations& in, const float* weight, int64_t begin, int64_t rows,
                   Activations& out) {
  const int width = hidden_width();
  load_norm_weight(weight, width, padded_weight_);
  for_rows(rows, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      kernels::rms_norm(in.row(begin + r), padded_weight_.data(), width,
                        static_cast<float>(config_.rms_norm_eps), out.row(r));
    }
  });
}

// The weight's gradient is summed in blocks of rows, then over the blocks in order, so that the
// result does not depend on the threads.
void Decoder::norm_backward(ConstRows in, const float* weight, int64_t rows, ConstRows dout,
                            Rows dx, float* dweight) {
  const int width = hidden_width(), padded = kernels::round_up(width, kernels::kLane);
  load_norm_weight(weight, width, padded_weight_);
  const int64_t blocks = (rows + kTaskRows - 1) / kTaskRows;
  partial_.assign(static_cast<size_t>(blocks) * padded, 0.0f);
  for_rows(rows, [&](int64_t first, int64_t last) {
    float* sum = partial_.data() + first / kTaskRows * padded;
    for (int64_t r = first; r < last; ++r) {
      kernels::rms_norm_backward(in.row(r), padded_weight_.data(), dout.row(r), width,
                                 static_cast<float>(config_.rms_norm_eps), dx.row(r), sum);
    }
  });
  if (dweight == nullptr) return;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int i = 0; i < width; ++i) dweight[i] += partial_[b * padded + i];
  }
}

ConstRows Decoder::input_rows(const Activations& stream, const float* norm_weight, int64_t begin,
                              int64_t rows) {
  if (!config_.facts.norm_before()) return rows_from(stream, begin);
  norm(stream, norm_weight, begin, rows, normed_);
  return std::as_const(normed_).rows();
}

void Decoder::input_rows_backward(const Activations& stream, const float* norm_weight,
                                  int64_t begin, int64_t rows, const Activations& dinput,
                                  float* dweight) {
  const Rows dx{dx_.row(begin), dx_.rows().stride};
  if (config_.facts.norm_before()) {
    return norm_backward(rows_from(stream, begin), norm_weight, rows, dinput.rows(), dx, dweight);
  }
  for_rows(rows, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int i = 0; i < hidden_width(); ++i) dx.row(r)[i] += dinput.row(r)[i];
    }
  });
}

void Decoder::add_branch(ConstRows in, ConstRows branch, const float* norm_weight, int64_t rows,
                         Rows out) {
  const int width = hidden_width(), padded = kernels::round_up(width, kernels::kLane);
  const bool normed = config_.facts.norm_after();
  const auto multiplier = static_cast<float>(config_.residual_multiplier);
  if (normed) load_norm_weight(norm_weight, width, padded_weight_);
  for_rows(rows, [&](int64_t first, int64_t last) {
    kernels::AlignedFloats row(padded);
    for (int64_t r = first; r < last; ++r) {
      const float* result = branch.row(r);
      if (normed) {
        kernels::rms_norm(result, padded_weight_.data(), width,
                          static_cast<float>(config_.rms_norm_eps), row.data());
        result = row.data();
      }
      for (int i = 0; i < width; ++i) out.row(r)[i] = in.row(r)[i] + multiplier * result[i];
    }
  });
}

ConstRows Decoder::add_branch_backward(ConstRows branch, const float* norm_weight, int64_t rows,
                                       ConstRows dout, float* dweight) {
  if (config_.adds_plainly()) return dout;
  const int width = hidden_width(), padded = kernels::round_up(width, kernels::kLane);
  const auto multiplier = static_cast<float>(config_.residual_multiplier);
  dscaled_.reset(rows, width);
  for_rows(rows, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int i = 0; i < width; ++i) dscaled_.row(r)[i] = multiplier * dout.row(r)[i];
    }
  });
  if (!config_.facts.norm_after()) return std::as_const(dscaled_).rows();
  dbranch_.reset(rows, width);
  for (int64_t r = 0; r < rows; ++r) std::fill_n(dbranch_.row(r), padded, 0.0f);
  norm_backward(branch, norm_weight, rows, std::as_const(dscaled_).rows(), dbranch_.rows(),
                dweight);
  return std::as_const(dbranch_).rows();
}

// Each head by itself, or all queries together and all keys together.
std::vector<Decoder::NormSpan> Decoder::qk_spans() const {
  if (config_.facts.qk_norm == QkNorm::width)
    return {{0, query_width(), true}, {query_width(), kv_width(), false}};
  std::vector<NormSpan> spans;
  for (int h = 0; h < config_.num_heads + config_.num_kv_heads; ++h)
    spans.push_back({h * config_.head_dim, config_.head_dim, h < config_.num_heads});
  return spans;
}

// From s.raw into s.qkv.
void Decoder::qk_norms(int layer, Saved& s) {
  const std::vector<NormSpan> spans = qk_spans();
  kernels::AlignedFloats q_weight, k_weight;
  load_norm_weight(weights(layer).q_norm, spans.front().width, q_weight);
  load_norm_weight(weights(layer).k_norm, spans.back().width, k_weight);
  for_rows(rows_, [&](int64_t first, int64_t last) {
    kernels::AlignedFloats query_in(q_weight.size()), key_in(k_weight.size()), out(q_weight.size());
    for (int64_t r = first; r < last; ++r) {
      std::copy_n(s.qkv.row(r), query_width() + kv_width(), s.raw.row(r));
      for (const NormSpan& span : spans) {
        kernels::AlignedFloats& in = span.query ? query_in : key_in;
        std::copy_n(s.raw.row(r) + span.column, span.width, in.begin());
        kernels::rms_norm(in.data(), (span.query ? q_weight : k_weight).data(), span.width,
                          static_cast<float>(config_.rms_norm_eps), out.data());
        std::copy_n(out.begin(), span.width, s.qkv.row(r) + span.column);
      }
    }
  });
}

// Turns dqkv_ from the gradient of the normed queries and keys into that of the raw ones.
void Decoder::qk_norms_backward(int layer, const Saved& s, const LayerArrays<float>& g) {
  const std::vector<NormSpan> spans = qk_spans();
  const int widths[] = {spans.front().width, spans.back().width};
  kernels::AlignedFloats weight[2];
  load_norm_weight(weights(layer).q_norm, widths[0], weight[0]);
  load_norm_weight(weights(layer).k_norm, widths[1], weight[1]);
  const size_t padded = weight[0].size();  // there are at least as many queries as keys
  const int64_t blocks = (rows_ + kTaskRows - 1) / kTaskRows;
  partial_.assign(static_cast<size_t>(blocks) * 2 * padded, 0.0f);
  for_rows(rows_, [&](int64_t first, int64_t last) {
    kernels::AlignedFloats in[2], dout[2], dx[2];
    for (auto* a : {in, dout, dx}) {
      for (int side = 0; side < 2; ++side) a[side].assign(weight[side].size(), 0.0f);
    }
    float* sums = partial_.data() + first / kTaskRows * 2 * padded;
    for (int64_t r = first; r < last; ++r) {
      for (const NormSpan& span : spans) {
        const int side = span.query ? 0 : 1;
        std::copy_n(s.raw.row(r) + span.column, span.width, in[side].begin());
        std::copy_n(dqkv_.row(r) + span.column, span.width, dout[side].begin());
        dx[side].assign(weight[side].size(), 0.0f);
        kernels::rms_norm_backward(in[side].data(), weight[side].data(), dout[side].data(),
                                   span.width, static_cast<float>(config_.rms_norm_eps),
                                   dx[side].data(), sums + side * padded);
        std::copy_n(dx[side].begin(), span.width, dqkv_.row(r) + span.column);
      }
    }
  });
  float* gradients[] = {g.q_norm, g.k_norm};
  for (int64_t b = 0; b < blocks; ++b) {
    for (int side = 0; side < 2; ++side) {
      const float* sums = partial_.data() + (2 * b + side) * padded;
      for (int i = 0; gradients[side] != nullptr && i < widths[side]; ++i)
        gradients[side][i] += sums[i];
    }
  }
}

}  // namespace longshot::model::cpu

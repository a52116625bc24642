#include "rollout/cpu/forward_pass.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/rows/row_ops.h"
#include "rollout/cpu/attention.h"

namespace longshot::rollout::cpu {
namespace {

constexpr int kTaskRows = 8;  // rows of one attention task

}  // namespace

void RopeTable::reset(const model::ModelConfig& config) {
  rope_ = model::rope_of(config, 1);  // sequences are at most rope_steady_length() long
  stride_ = 2 * rope_.inverse_frequencies.size();
  values_.clear();
}

void RopeTable::grow(int positions) {
  const size_t have = values_.size() / stride_, wanted = static_cast<size_t>(positions);
  if (wanted <= have) return;
  const std::vector<float>& frequencies = rope_.inverse_frequencies;
  const double factor = rope_.attention_factor;
  const size_t half = frequencies.size(), count = std::max(wanted, have * 2);
  values_.resize(count * stride_);
  for (size_t p = have; p < count; ++p) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) * static_cast<double>(frequencies[i]);
      values_[p * stride_ + i] = static_cast<float>(factor * std::cos(angle));
      values_[p * stride_ + half + i] = static_cast<float>(factor * std::sin(angle));
    }
  }
}

void ForwardPass::Buffer::reset(int rows, int width) {
  const size_t wanted = kernels::row_stride(width);
  if (wanted == stride && data.size() >= rows * wanted) return;
  stride = wanted;
  data = AlignedFloats(rows * wanted);  // zeros: kernels read the padding
}

void ForwardPass::prepare(std::span<const SequenceRows> pieces) {
  const model::ModelConfig& c = model_->config();
  rows_ = 0;
  for (const SequenceRows& piece : pieces) rows_ += static_cast<int>(piece.tokens.size());
  const int q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  x_.reset(rows_, c.hidden_size);
  normed_.reset(rows_, c.hidden_size);
  qkv_.reset(rows_, q + 2 * kv);
  attended_.reset(rows_, q);
  gate_up_.reset(rows_, 2 * model_->padded_intermediate());
  act_.reset(rows_, model_->padded_intermediate());
  piece_of_row_.clear();
  for (int p = 0; p < static_cast<int>(pieces.size()); ++p) {
    piece_of_row_.insert(piece_of_row_.end(), pieces[p].tokens.size(), p);
  }
  decoding_ = rows_ == static_cast<int>(pieces.size());
  plan_attention();
}

// Decoding sequences with the same first pages share tasks: the samples of a group read its prompt
// once.
void ForwardPass::plan_attention() {
  const auto in_common = [](const SequenceRows& a, const SequenceRows& b) {
    const size_t most = std::min(a.pages.size(), b.pages.size());
    size_t n = 0;
    while (n < most && a.pages[n] == b.pages[n]) ++n;
    return static_cast<int>(n);
  };
  tasks_.clear();
  attention_work_ = 0;
  const int count = static_cast<int>(pieces_.size());
  for (int first = 0; first < count;) {
    const SequenceRows& piece = pieces_[first];
    const int tokens = static_cast<int>(piece.tokens.size());
    int last = first + 1, shared = (piece.start + tokens + kPage - 1) / kPage;
    if (tokens == 1 && last < count && pieces_[last].tokens.size() == 1) {
      const int common = in_common(piece, pieces_[last]);
      for (; common > 0 && last < count && pieces_[last].tokens.size() == 1 &&
             in_common(piece, pieces_[last]) >= common;
           ++last) {
        shared = common;
      }
    }
    const SequenceRows& end = pieces_[last - 1];
    add_tasks(piece.row, end.row + static_cast<int>(end.tokens.size()) - piece.row, shared);
    first = last;
  }
}

void ForwardPass::add_tasks(int first_row, int rows, int shared) {
  const model::ModelConfig& c = model_->config();
  for (int h = 0; h < c.num_kv_heads; ++h) {
    for (int done = 0; done < rows; done += kTaskRows) {
      tasks_.push_back({first_row + done, std::min(kTaskRows, rows - done), h, shared});
    }
  }
  for (int r = first_row; r < first_row + rows; ++r) {
    const SequenceRows& piece = pieces_[piece_of_row_[r]];
    attention_work_ += int64_t{2} * (piece.start + r - piece.row) * c.num_heads * c.head_dim;
  }
}

void ForwardPass::norm(const Buffer& in, const AlignedFloats& weight, int rows, Buffer& out) {
  const model::ModelConfig& c = model_->config();
  workers_.ranges(rows, int64_t{8} * rows * c.hidden_size, [&](int begin, int end) {
    for (int r = begin; r < end; ++r) {
      kernels::rms_norm(in.data.data() + r * in.stride, weight.data(), c.hidden_size,
                        static_cast<float>(c.rms_norm_eps), out.row(r));
    }
  });
}

// Converts rows [first_row, first_row + rows) of `in` to the form in which the product with w reads
// them.
ForwardPass::RowOrder ForwardPass::convert_rows(const PanelMatrix& w, Buffer& in, int first_row,
                                                int rows) {
  const auto each = [&](int count, const auto& body) {
    workers_.ranges(count, int64_t{4} * rows * w.k(), [&](int begin, int end) {
      for (int i = begin; i < end; ++i) body(i);
    });
  };
  if (w.format() == NumberFormat::int8) {
    quantized_.reset(rows, w.k());
    each(rows, [&](int r) { quantized_.set_row(r, in.row(first_row + r)); });
    return RowOrder::int8;
  }
  if (w.format() == NumberFormat::bf16 && kernels::has_bf16_products()) {
    rounded_.reset(rows, w.k());
    each(rows, [&](int r) { rounded_.set_row(r, in.row(first_row + r)); });
    return RowOrder::bf16;
  }
  if (!kernels::RowStrips::pay(rows)) return RowOrder::plain;
  strips_.reset(rows, w.k(), w.format());
  each(strips_.tiles(), [&](int t) { strips_.set_tile(t, in.row(first_row), in.stride); });
  return RowOrder::strips;
}

// y = rows [first_row, first_row + rows) of `in` times W^T.
void ForwardPass::product(const PanelMatrix& w, Buffer& in, int first_row, int rows, float* y,
                          size_t ldy, Store store, const std::function<void(int, int)>& then) {
  const RowOrder order = convert_rows(w, in, first_row, rows);
  // Wide vectors process two panels at once, so a range has an even number of panels.
  const int panels = w.panels();
  workers_.ranges((panels + 1) / 2, int64_t{rows} * w.n() * w.k(), [&](int first, int last) {
    const int begin = 2 * first, end = std::min(2 * last, panels);
    switch (order) {
      case RowOrder::int8:
        kernels::gemm_int8(w, quantized_, rows, y, ldy, begin, end, store);
        break;
      case RowOrder::bf16:
        kernels::gemm_bf16(w, rounded_, rows, y, ldy, begin, end, store);
        break;
      case RowOrder::strips:
        kernels::gemm(w, strips_, y, ldy, begin, end, store);
        break;
      case RowOrder::plain:
        kernels::gemm(w, in.row(first_row), in.stride, rows, y, ldy, begin, end, store);
    }
    if (then) then(first, last);
  });
}

void ForwardPass::matmul(const PanelMatrix& w, Buffer& in, int rows, Buffer& out, Store store) {
  product(w, in, 0, rows, out.row(0), out.stride, store);
}

// Computes the gate and up projections and their activation, into act_.
void ForwardPass::gated(const PanelMatrix& gate_up) {
  product(gate_up, normed_, 0, rows_, gate_up_.row(0), gate_up_.stride, Store::set,
          [&](int begin, int end) {
            for (int r = 0; r < rows_; ++r) {
              kernels::silu_mul_panels(gate_up_.row(r) + 2 * kPanel * begin, end - begin,
                                       act_.row(r) + kPanel * begin);
            }
          });
}

// Applies QK norm and RoPE to one row's heads that share a KV head, then stores the row's key and
// value in the cache.
void ForwardPass::rotate_and_store(const PanelLayer& layer, int index, int row, int kv_head) {
  const model::ModelConfig& c = model_->config();
  const SequenceRows& piece = pieces_[piece_of_row_[row]];
  const int position = piece.start + row - piece.row, group = c.num_heads / c.num_kv_heads;
  float* q = qkv_.row(row);
  float* k = q + static_cast<size_t>(c.num_heads + kv_head) * c.head_dim;
  const float* v = k + static_cast<size_t>(c.num_kv_heads) * c.head_dim;
  const auto rotate = [&](float* head, const AlignedFloats& weight) {
    if (!weight.empty()) {
      alignas(64) float padded[kMaxHeadDim] = {}, normed[kMaxHeadDim];
      std::copy_n(head, c.head_dim, padded);
      kernels::rms_norm(padded, weight.data(), c.head_dim, static_cast<float>(c.rms_norm_eps),
                        normed);
      std::copy_n(normed, c.head_dim, head);
    }
    kernels::rope(head, rope_->at(position), c.head_dim);
  };
  for (int h = kv_head * group; h < (kv_head + 1) * group; ++h)
    rotate(q + h * c.head_dim, layer.q_norm);
  rotate(k, layer.k_norm);
  store_kv(shape_, index, kv_head, position % kPage, k, v, piece.pages[position / kPage]);
}

void ForwardPass::write_cache(const PanelLayer& layer, int index) {
  workers_.ranges(rows_, int64_t{8} * rows_ * static_cast<int64_t>(qkv_.stride),
                  [&](int begin, int end) {
                    for (int r = begin; r < end; ++r) {
                      for (int h = 0; h < model_->config().num_kv_heads; ++h)
                        rotate_and_store(layer, index, r, h);
                    }
                  });
}

void ForwardPass::attend_task(const AttentionTask& task, int index) {
  const model::ModelConfig& c = model_->config();
  const int group = c.num_heads / c.num_kv_heads;
  const size_t column = static_cast<size_t>(task.head) * group * c.head_dim;
  std::array<AttentionRow, kTaskRows> rows;
  for (int i = 0; i < task.rows; ++i) {
    const int r = task.first_row + i;
    const SequenceRows& piece = pieces_[piece_of_row_[r]];
    const int length = piece.start + r - piece.row + 1, window = c.window_of(index);
    rows[i] = {qkv_.row(r) + column, attended_.row(r) + column,
               window > 0 ? std::max(0, length - window) : 0, length, piece.pages.data()};
  }
  attend({.rows = {rows.data(), static_cast<size_t>(task.rows)},
          .shared = task.shared,
          .group = group,
          .head_dim = c.head_dim,
          .k_offset = shape_.key_offset(index, task.head),
          .v_offset = shape_.value_offset(index, task.head),
          .value_stride = shape_.value_stride(),
          .format = shape_.format,
          .scale_offset = shape_.scale_offset(index, task.head)});
}

void ForwardPass::attention(const PanelLayer& layer, int index) {
  // Decoding rows do not see keys of other rows, so a task can write itself what it needs in the
  // cache.
  if (!decoding_) write_cache(layer, index);
  workers_.ranges(static_cast<int>(tasks_.size()), attention_work_, [&](int begin, int end) {
    for (const AttentionTask& task : std::span(tasks_).subspan(begin, end - begin)) {
      for (int r = task.first_row; decoding_ && r < task.first_row + task.rows; ++r)
        rotate_and_store(layer, index, r, task.head);
      attend_task(task, index);
    }
  });
}

void ForwardPass::layer(int index) {
  const PanelLayer& layer = model_->layers()[index];
  norm(x_, layer.attention_norm, rows_, normed_);
  matmul(layer.qkv, normed_, rows_, qkv_, Store::set);
  attention(layer, index);
  matmul(layer.out, attended_, rows_, x_, Store::add);
  norm(x_, layer.mlp_norm, rows_, normed_);
  gated(layer.gate_up);
  matmul(layer.down, act_, rows_, x_, Store::add);
}

// Applies the final norm and the head to the requested tokens only; their rows are gathered at the
// top of normed_.
void ForwardPass::logits() {
  const PanelMatrix& head = model_->head();
  std::vector<float*> out;
  for (const SequenceRows& piece : pieces_) {
    const int end = piece.row + static_cast<int>(piece.tokens.size());
    for (int i = 0; i < piece.wanted; ++i) {
      kernels::rms_norm(x_.row(end - piece.wanted + i), model_->final_norm().data(),
                        model_->config().hidden_size,
                        static_cast<float>(model_->config().rms_norm_eps),
                        normed_.row(static_cast<int>(out.size())));
      out.push_back(piece.logits + static_cast<size_t>(i) * model_->config().vocab_size);
    }
  }
  if (out.empty()) return;
  const int rows = static_cast<int>(out.size());
  const ptrdiff_t stride = rows > 1 ? out[1] - out[0] : head.n();
  bool regular = true;
  for (int r = 0; r + 1 < rows; ++r)
    regular = regular && out[r + 1] - out[r] == stride && stride > 0;
  const int runs = regular ? 1 : rows, height = regular ? rows : 1;
  for (int run = 0; run < runs; ++run) {
    product(head, normed_, run, height, out[run], regular ? stride : head.n(), Store::set);
  }
}

void ForwardPass::run(const PanelModel& model, const KvShape& shape, const RopeTable& rope,
                      std::span<const SequenceRows> pieces, const ThreadRanges& workers) {
  model_ = &model;
  shape_ = shape;
  rope_ = &rope;
  pieces_ = pieces;
  workers_ = workers;
  prepare(pieces);
  for (const SequenceRows& piece : pieces) {
    for (size_t i = 0; i < piece.tokens.size(); ++i) {
      std::copy_n(model.embedding(piece.tokens[i]), model.config().hidden_size,
                  x_.row(piece.row + static_cast<int>(i)));
    }
  }
  for (int i = 0; i < model.config().num_layers; ++i) layer(i);
  logits();
}

}  // namespace longshot::rollout::cpu

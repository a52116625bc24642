#include "rollout/cpu/forward_pass.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/rows/row_ops.h"
#include "rollout/cpu/attention.h"

namespace longshot::rollout::cpu {
namespace {

constexpr int kTaskRows = 8;  // rows of one attention task

}  // namespace

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
  find_adapters();
  plan_attention();
}

void ForwardPass::find_adapters() {
  std::vector<AdapterRows> runs;
  for (const SequenceRows& piece : pieces_) {
    if (piece.adapter == nullptr) continue;
    if (runs.empty() || runs.back().adapter != piece.adapter)
      runs.push_back({piece.adapter, piece.row, 0});
    runs.back().rows += static_cast<int>(piece.tokens.size());
  }
  plain_rows_ = runs.empty() ? rows_ : runs.front().first;
  adapters_.reset(runs);
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

kernels::Gate ForwardPass::gate() const {
  return model_->config().facts.activation == model::Activation::silu ? kernels::Gate::silu
                                                                      : kernels::Gate::gelu_tanh;
}

void ForwardPass::norm(const Buffer& in, const AlignedFloats& weight, int rows, Buffer& out) {
  const model::ModelConfig& c = model_->config();
  shared_.threads.ranges(rows, int64_t{8} * rows * c.hidden_size, [&](int begin, int end) {
    for (int r = begin; r < end; ++r) {
      kernels::rms_norm(in.data.data() + r * in.stride, weight.data(), c.hidden_size,
                        static_cast<float>(c.rms_norm_eps), out.row(r));
    }
  });
}

// Converts rows [first_row, first_row + rows) of `in` to the form in which the product with w reads
// them.
ForwardPass::RowOrder ForwardPass::convert_rows(Lane& lane, const PanelMatrix& w, Buffer& in,
                                                int first_row, int rows) {
  const auto each = [&](int count, const auto& body) {
    lane.threads.ranges(count, int64_t{4} * rows * w.k(), [&](int begin, int end) {
      for (int i = begin; i < end; ++i) body(i);
    });
  };
  if (w.format() == NumberFormat::int8) {
    lane.quantized.reset(rows, w.k());
    each(rows, [&](int r) { lane.quantized.set_row(r, in.row(first_row + r)); });
    return RowOrder::int8;
  }
  if (w.format() == NumberFormat::bf16 && kernels::has_bf16_products()) {
    lane.rounded.reset(rows, w.k());
    each(rows, [&](int r) { lane.rounded.set_row(r, in.row(first_row + r)); });
    return RowOrder::bf16;
  }
  if (!kernels::RowStrips::pay(rows)) return RowOrder::plain;
  lane.strips.reset(rows, w.k(), w.format());
  each(lane.strips.tiles(), [&](int t) { lane.strips.set_tile(t, in.row(first_row), in.stride); });
  return RowOrder::strips;
}

// y = rows [first_row, first_row + rows) of `in` times W^T.
void ForwardPass::product(Lane& lane, const PanelMatrix& w, Buffer& in, int first_row, int rows,
                          float* y, size_t ldy, Store store,
                          const std::function<void(int, int)>& then) {
  const RowOrder order = convert_rows(lane, w, in, first_row, rows);
  // Wide vectors process two panels at once, so a range has an even number of panels.
  const int panels = w.panels();
  lane.threads.ranges((panels + 1) / 2, int64_t{rows} * w.n() * w.k(), [&](int first, int last) {
    const int begin = 2 * first, end = std::min(2 * last, panels);
    switch (order) {
      case RowOrder::int8:
        kernels::gemm_int8(w, lane.quantized, rows, y, ldy, begin, end, store);
        break;
      case RowOrder::bf16:
        kernels::gemm_bf16(w, lane.rounded, rows, y, ldy, begin, end, store);
        break;
      case RowOrder::strips:
        kernels::gemm(w, lane.strips, y, ldy, begin, end, store);
        break;
      case RowOrder::plain:
        kernels::gemm(w, in.row(first_row), in.stride, rows, y, ldy, begin, end, store);
    }
    if (then) then(first, last);
  });
}

void ForwardPass::matmul(const PanelMatrix& w, Buffer& in, int rows, Buffer& out, Store store) {
  product(shared_, w, in, 0, rows, out.row(0), out.stride, store);
}

void ForwardPass::add_adapters(int layer, Product product, Buffer& in, Buffer& out) {
  if (adapters_.empty()) return;
  adapters_.add(layer, product, {in.data.data(), in.stride}, out.rows(), shared_.threads);
}

// Computes the gate and up projections and their activation, into act_.
void ForwardPass::gated(const PanelMatrix& gate_up, int index, Buffer& in) {
  const auto activate = [&](int first_row, int last_row, int begin, int end) {
    for (int r = first_row; r < last_row; ++r) {
      kernels::gate_mul_panels(gate(), gate_up_.row(r) + 2 * kPanel * begin, end - begin,
                               act_.row(r) + kPanel * begin);
    }
  };
  product(shared_, gate_up, in, 0, rows_, gate_up_.row(0), gate_up_.stride, Store::set,
          [&](int begin, int end) { activate(0, plain_rows_, begin, end); });
  if (plain_rows_ == rows_) return;
  add_adapters(index, Product::gate_up, in, gate_up_);
  const int pairs = gate_up.panels() / 2, rows = rows_ - plain_rows_;
  shared_.threads.ranges(pairs, int64_t{8} * rows * gate_up.n(),
                         [&](int begin, int end) { activate(plain_rows_, rows_, begin, end); });
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
  const float* table = rope_->at(position, c.rotates_locally(index));
  const bool rotates = c.rotates(index), norms = c.facts.qk_norm == model::QkNorm::heads;
  const int width = c.rotary_width();
  const auto rotate = [&](float* head, const AlignedFloats& weight) {
    if (norms) {
      alignas(64) float padded[kMaxHeadDim] = {}, normed[kMaxHeadDim];
      std::copy_n(head, c.head_dim, padded);
      kernels::rms_norm(padded, weight.data(), c.head_dim, static_cast<float>(c.rms_norm_eps),
                        normed);
      std::copy_n(normed, c.head_dim, head);
    }
    if (!rotates) return;
    if (c.facts.rope_pairs) return kernels::rope_pairs(head, table, width);
    kernels::rope(head, table, width);
  };
  for (int h = kv_head * group; h < (kv_head + 1) * group; ++h)
    rotate(q + h * c.head_dim, layer.q_norm);
  rotate(k, layer.k_norm);
  store_kv(shape_, index, kv_head, position % kPage, k, v, piece.pages[position / kPage]);
}

void ForwardPass::write_cache(const PanelLayer& layer, int index) {
  shared_.threads.ranges(rows_, int64_t{8} * rows_ * static_cast<int64_t>(qkv_.stride),
                         [&](int begin, int end) {
                           for (int r = begin; r < end; ++r) {
                             for (int h = 0; h < model_->config().num_kv_heads; ++h)
                               rotate_and_store(layer, index, r, h);
                           }
                         });
}

void ForwardPass::attend_task(const AttentionTask& task, int index) {
  const model::ModelConfig& c = model_->config();
  const int group = c.num_heads / c.num_kv_heads, window = c.window_of(index);
  const size_t column = static_cast<size_t>(task.head) * group * c.head_dim;
  std::array<AttentionRow, kTaskRows> rows;
  for (int i = 0; i < task.rows; ++i) {
    const int r = task.first_row + i;
    const SequenceRows& piece = pieces_[piece_of_row_[r]];
    const int length = piece.start + r - piece.row + 1;
    rows[i] = {qkv_.row(r) + column, attended_.row(r) + column,
               window > 0 ? std::max(0, length - window) : 0, length, piece.pages.data()};
  }
  attend({.rows = {rows.data(), static_cast<size_t>(task.rows)},
          .shared = task.shared,
          .group = group,
          .head_dim = c.head_dim,
          .scale = score_scale_,
          .cap = score_cap_,
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
  shared_.threads.ranges(static_cast<int>(tasks_.size()), attention_work_, [&](int begin, int end) {
    for (const AttentionTask& task : std::span(tasks_).subspan(begin, end - begin)) {
      for (int r = task.first_row; decoding_ && r < task.first_row + task.rows; ++r)
        rotate_and_store(layer, index, r, task.head);
      attend_task(task, index);
    }
  });
}

ForwardPass::Buffer& ForwardPass::input(const AlignedFloats& norm_weight) {
  if (norm_weight.empty()) return x_;
  norm(x_, norm_weight, rows_, normed_);
  return normed_;
}

// normed_ is free here and holds the product, unless that can be added as it is.
void ForwardPass::add_product(int layer, Product product, const PanelMatrix& w, Buffer& in,
                              const AlignedFloats& norm_weight) {
  const model::ModelConfig& c = model_->config();
  Buffer& out = c.adds_plainly() ? x_ : normed_;
  matmul(w, in, rows_, out, c.adds_plainly() ? Store::add : Store::set);
  add_adapters(layer, product, in, out);
  if (c.adds_plainly()) return;
  const auto multiplier = static_cast<float>(c.residual_multiplier);
  if (!norm_weight.empty()) norm(normed_, norm_weight, rows_, normed_);
  shared_.threads.ranges(rows_, int64_t{2} * rows_ * c.hidden_size, [&](int begin, int end) {
    for (int r = begin; r < end; ++r) {
      for (int i = 0; i < c.hidden_size; ++i) x_.row(r)[i] += multiplier * normed_.row(r)[i];
    }
  });
}

// Norms all queries of a row together, and all keys.
void ForwardPass::whole_norms(const PanelLayer& layer) {
  const model::ModelConfig& c = model_->config();
  const auto eps = static_cast<float>(c.rms_norm_eps);
  const int q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  shared_.threads.ranges(rows_, int64_t{8} * rows_ * (q + kv), [&](int begin, int end) {
    AlignedFloats in[2] = {AlignedFloats(layer.q_norm.size()), AlignedFloats(layer.k_norm.size())};
    AlignedFloats out(layer.q_norm.size());
    const auto each = [&](float* part, int width, const AlignedFloats& weight, AlignedFloats& row) {
      std::copy_n(part, width, row.begin());
      kernels::rms_norm(row.data(), weight.data(), width, eps, out.data());
      std::copy_n(out.begin(), width, part);
    };
    for (int r = begin; r < end; ++r) {
      each(qkv_.row(r), q, layer.q_norm, in[0]);
      each(qkv_.row(r) + q, kv, layer.k_norm, in[1]);
    }
  });
}

void ForwardPass::layer(int index) {
  const PanelLayer& layer = model_->layers()[index];
  Buffer& attention_in = input(layer.attention_norm);
  matmul(layer.qkv, attention_in, rows_, qkv_, Store::set);
  add_adapters(index, Product::qkv, attention_in, qkv_);
  if (model_->config().facts.qk_norm == model::QkNorm::width) whole_norms(layer);
  attention(layer, index);
  add_product(index, Product::out, layer.out, attended_, layer.attention_post_norm);
  if (model_->config().has_experts(index)) return experts(layer, input(layer.mlp_norm));
  gated(layer.gate_up, index, input(layer.mlp_norm));
  add_product(index, Product::down, layer.down, act_, layer.mlp_post_norm);
}

// Applies the final norm and the head to the requested tokens only; their rows are gathered at the
// top of normed_, in the order of their logits. Logits at equal distances are one product.
void ForwardPass::logits() {
  const PanelMatrix& head = model_->head();
  std::vector<std::pair<float*, int>> wanted;  // logits, row
  for (const SequenceRows& piece : pieces_) {
    const int end = piece.row + static_cast<int>(piece.tokens.size());
    for (int i = 0; i < piece.wanted; ++i)
      wanted.emplace_back(piece.logits + static_cast<size_t>(i) * model_->config().vocab_size,
                          end - piece.wanted + i);
  }
  std::ranges::sort(wanted);
  const int rows = static_cast<int>(wanted.size());
  for (int r = 0; r < rows; ++r)
    kernels::rms_norm(x_.row(wanted[r].second), model_->final_norm().data(),
                      model_->config().hidden_size,
                      static_cast<float>(model_->config().rms_norm_eps), normed_.row(r));
  for (int first = 0, last = 0; first < rows; first = last) {
    last = first + 1;
    const ptrdiff_t stride = last < rows ? wanted[last].first - wanted[first].first : head.n();
    while (last < rows && wanted[last].first - wanted[last - 1].first == stride) ++last;
    product(shared_, head, normed_, first, last - first, wanted[first].first, stride, Store::set);
  }
  const auto cap = static_cast<float>(model_->config().logit_softcap);
  if (cap == 0) return;
  shared_.threads.ranges(rows, int64_t{16} * rows * head.n(), [&](int begin, int end) {
    for (int r = begin; r < end; ++r)
      kernels::soft_cap(wanted[r].first, model_->config().vocab_size, 1, cap);
  });
}

void ForwardPass::run(const PanelModel& model, const KvShape& shape, const RopeTable& rope,
                      std::span<const SequenceRows> pieces, const ThreadRanges& workers) {
  model_ = &model;
  shape_ = shape;
  rope_ = &rope;
  pieces_ = pieces;
  shared_.threads = workers;
  score_scale_ = model.config().score_scale();
  score_cap_ = static_cast<float>(model.config().attention_softcap);
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

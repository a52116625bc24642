#include "model/cpu/head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/rows/row_ops.h"
#include "kernels/rows/vocab_blocks.h"
#include "model/cpu/row_tasks.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

namespace {

// Vocabulary entries in a block: its packed weights fit the last-level cache, and 48 rows of its
// logits fit the second level.
constexpr int kBlock = 1024;
constexpr int64_t kBlockRows = 48;
constexpr int64_t kChunk = 768;  // rows whose logits are kept: the depth of a block of products

size_t stride() {
  return static_cast<size_t>(kernels::row_stride(kBlock));
}

template <typename Body>
void for_blocks(int vocab, const Body& body) {
  for (int first = 0; first < vocab; first += kBlock) body(first, std::min(kBlock, vocab - first));
}

float* thread_block() {
  thread_local kernels::AlignedFloats block;
  if (block.empty()) block = kernels::AlignedFloats(kBlockRows * stride());
  return block.data();
}

}  // namespace

int64_t Head::chunk_bytes(int64_t rows, int vocab) {
  return std::min(rows, kChunk) * kernels::row_stride(vocab) * static_cast<int64_t>(sizeof(float));
}

void Head::pack(const Problem& p, int first, int count, kernels::PanelBuffer& panels) {
  panels.reset(count, p.width, products_);
  const float* weight = p.weight + static_cast<size_t>(first) * p.width;
  pool_.parallel_for(panels.count(),
                     [&](int i) { panels.pack_rows(i, weight, static_cast<size_t>(p.width)); });
}

void Head::block_logits(const Problem& p, const kernels::PanelBuffer& panels, int count,
                        int64_t begin, int64_t rows, float* block, size_t stride) {
  kernels::multiply(panels.panels(), p.hidden.row(begin), p.hidden.stride, static_cast<int>(rows),
                    block, stride, Store::set);
  for (int64_t r = 0; p.cap > 0 && r < rows; ++r)
    kernels::soft_cap(block + r * stride, count, 1, p.cap);
}

void Head::for_rows(int64_t rows, const std::function<void(int64_t begin, int64_t end)>& body) {
  cpu::for_rows(pool_, rows, body, kBlockRows);
}

Head::Output Head::forward(const Problem& p, bool with_entropy) {
  const auto rows = static_cast<int64_t>(p.targets.size());
  for (const int32_t id : p.targets)
    LS_CHECK(id >= 0 && id < p.vocab, "target outside the vocabulary");
  Output out;
  out.logprobs.assign(rows, 0);
  out.log_sums.assign(rows, 0);
  std::vector<kernels::VocabSums> sums(rows);
  const float inverse = 1.0f / p.temperature;
  for_blocks(p.vocab, [&](int first, int count) {
    pack(p, first, count, panels_);
    for_rows(rows, [&](int64_t begin, int64_t end) {
      float* block = thread_block();
      block_logits(p, panels_, count, begin, end - begin, block, stride());
      for (int64_t r = begin; r < end; ++r) {
        float* row = block + (r - begin) * stride();
        const int target = p.targets[r] - first;
        if (target >= 0 && target < count) out.logprobs[r] = row[target] * inverse;
        kernels::add_block(row, count, inverse, with_entropy, sums[r]);
      }
    });
  });
  if (with_entropy) out.entropy.assign(rows, 0);
  for (int64_t r = 0; r < rows; ++r) {
    out.log_sums[r] = sums[r].log_sum();
    out.logprobs[r] -= out.log_sums[r];
    // H = log sum - sum of p * logit.
    if (with_entropy) out.entropy[r] = out.log_sums[r] - sums[r].mean_logit();
  }
  return out;
}

// With p the softmax: d loss / d logit = grad / temperature * (onehot - p)
//                     - entropy_grad / temperature * p * (log p + entropy).
// A capped logit passes on 1 - (logit / cap)^2 of it.
void Head::to_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                        const Differential& d, float* block, size_t stride) {
  const float inverse = 1.0f / p.temperature;
  std::vector<float> capped(p.cap > 0 ? count : 0);
  for (int64_t r = begin; r < begin + rows; ++r) {
    float* row = block + (r - begin) * stride;
    const float g = d.grad[r] * inverse;
    std::copy_n(row, capped.size(), capped.begin());
    if (d.entropy_grad.empty()) {
      kernels::softmax_times(row, count, inverse, d.log_sums[r], -g);
    } else {
      const float e = d.entropy_grad[r] * inverse;
      kernels::softmax_times_line(row, count, inverse, d.log_sums[r], -g - e * d.entropy[r], -e);
    }
    const int target = p.targets[r] - first;
    if (target >= 0 && target < count) row[target] += g;
    for (size_t i = 0; i < capped.size(); ++i) {
      const float t = capped[i] / p.cap;
      row[i] *= 1 - t * t;
    }
  }
}

void Head::multiply_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                              ConstRows block, Rows dhidden, float* dweight) {
  const float* weight = p.weight + static_cast<size_t>(first) * p.width;
  dense_.input_gradient(block, rows, weight, count, p.width, {dhidden.row(begin), dhidden.stride},
                        first == 0 ? Store::set : Store::add);
  if (dweight == nullptr) return;
  dense_.weight_gradient(block, {p.hidden.row(begin), p.hidden.stride}, rows, count, p.width,
                         dweight + static_cast<size_t>(first) * p.width);
}

void Head::backward(const Problem& p, const Differential& d, Rows dhidden, float* dweight) {
  const auto rows = static_cast<int64_t>(p.targets.size());
  LS_CHECK(d.grad.size() == p.targets.size() && d.log_sums.size() == p.targets.size(),
           "one gradient a row");
  LS_CHECK(d.entropy_grad.empty() ||
               (d.entropy_grad.size() == p.targets.size() && d.entropy.size() == p.targets.size()),
           "one gradient and one entropy a row");
  if (gradients_.size() < rows * stride()) gradients_ = kernels::AlignedFloats(rows * stride());
  for_blocks(p.vocab, [&](int first, int count) {
    pack(p, first, count, panels_);
    for_rows(rows, [&](int64_t begin, int64_t end) {
      float* block = gradients_.data() + begin * stride();
      block_logits(p, panels_, count, begin, end - begin, block, stride());
      to_gradients(p, first, count, begin, end - begin, d, block, stride());
    });
    multiply_gradients(p, first, count, 0, rows, {gradients_.data(), stride()}, dhidden, dweight);
  });
}

// Computes all logits of one chunk and their sums, then replaces the logits by their gradients.
void Head::forward_backward_chunk(const Problem& p, std::span<const float> grad, bool with_entropy,
                                  int64_t first_row, int64_t rows, Rows dhidden, float* dweight,
                                  Output& out) {
  const auto width = static_cast<size_t>(kernels::row_stride(p.vocab));
  if (logits_.size() < rows * width) logits_ = kernels::AlignedFloats(rows * width);
  std::vector<kernels::VocabSums> sums(rows);
  const float inverse = 1.0f / p.temperature;
  for_blocks(p.vocab, [&](int first, int count) {
    pack(p, first, count, panels_);
    for_rows(rows, [&](int64_t begin, int64_t end) {
      float* block = logits_.data() + begin * width + first;
      block_logits(p, panels_, count, first_row + begin, end - begin, block, width);
      for (int64_t r = begin; r < end; ++r) {
        float* row = block + (r - begin) * width;
        const int target = p.targets[first_row + r] - first;
        if (target >= 0 && target < count) out.logprobs[first_row + r] = row[target] * inverse;
        kernels::add_block(row, count, inverse, with_entropy, sums[r]);
      }
    });
  });
  for (int64_t r = 0; r < rows; ++r) {
    out.log_sums[first_row + r] = sums[r].log_sum();
    out.logprobs[first_row + r] -= sums[r].log_sum();
    if (with_entropy) out.entropy[first_row + r] = sums[r].log_sum() - sums[r].mean_logit();
  }
  for_blocks(p.vocab, [&](int first, int count) {
    for_rows(rows, [&](int64_t begin, int64_t end) {
      to_gradients(p, first, count, first_row + begin, end - begin, {out.log_sums, {}, grad, {}},
                   logits_.data() + begin * width + first, width);
    });
    multiply_gradients(p, first, count, first_row, rows, {logits_.data() + first, width}, dhidden,
                       dweight);
  });
}

Head::Output Head::forward_backward(const Problem& p, std::span<const float> grad,
                                    bool with_entropy, Rows dhidden, float* dweight) {
  const auto rows = static_cast<int64_t>(p.targets.size());
  LS_CHECK(grad.size() == p.targets.size(), "one gradient a row");
  for (const int32_t id : p.targets)
    LS_CHECK(id >= 0 && id < p.vocab, "target outside the vocabulary");
  Output out;
  out.logprobs.assign(rows, 0);
  out.log_sums.assign(rows, 0);
  if (with_entropy) out.entropy.assign(rows, 0);
  for (int64_t begin = 0; begin < rows; begin += kChunk)
    forward_backward_chunk(p, grad, with_entropy, begin, std::min(kChunk, rows - begin), dhidden,
                           dweight, out);
  return out;
}

}  // namespace longshot::model::cpu

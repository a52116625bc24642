#include "model/torch/forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logical_and.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "base/check.h"
#include "model/format/architecture.h"
#include "model/torch/layers.h"
#include "model/torch/logprob.h"

namespace longshot::model {
namespace {

// Sequences of similar length that attend in one call. They are next to each other in the sorted
// batch.
struct Bucket {
  int64_t rows = 0;  // tokens of all its sequences
  int64_t sequences = 0;
  int64_t length = 0;  // of the longest sequence
  // [rows] row of each token in [sequences * length]; undefined if nothing is padded
  at::Tensor padded_row;
};

// The batch in the order of sequence length.
struct BatchLayout {
  LayerInput input;                 // [total]
  std::vector<int64_t> sorted_row;  // [total] the new place of row i of the caller's order
  bool reordered = false;
  std::vector<Bucket> buckets;
};

// Limits the attention work that padding adds to a sequence: (9/8)^2 = 1.27, at most 27 percent.
bool fits(int64_t length, int64_t shortest) {
  return length * 8 <= shortest * 9;
}

std::vector<Bucket> make_buckets(const std::vector<int64_t>& lengths, at::Device device) {
  std::vector<Bucket> buckets;
  for (size_t begin = 0; begin < lengths.size();) {
    size_t end = begin;
    while (end < lengths.size() && fits(lengths[end], lengths[begin])) ++end;
    Bucket bucket;
    bucket.sequences = static_cast<int64_t>(end - begin);
    bucket.length = lengths[end - 1];  // lengths are ascending
    std::vector<int64_t> padded_row;
    for (size_t s = begin; s < end; ++s) {
      for (int64_t t = 0; t < lengths[s]; ++t) {
        padded_row.push_back(static_cast<int64_t>(s - begin) * bucket.length + t);
      }
    }
    bucket.rows = static_cast<int64_t>(padded_row.size());
    if (bucket.rows < bucket.sequences * bucket.length) {
      bucket.padded_row = index_tensor(padded_row, device);
    }
    buckets.push_back(std::move(bucket));
    begin = end;
  }
  return buckets;
}

BatchLayout lay_out(const PackedBatch& batch, at::Device device) {
  std::vector<int64_t> order(batch.sequences());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int64_t s) { return batch.boundaries[s + 1] - batch.boundaries[s]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return length(a) < length(b); });
  BatchLayout layout;
  layout.reordered = !std::is_sorted(order.begin(), order.end());
  layout.sorted_row.resize(batch.total());
  std::vector<int64_t> lengths;
  for (int64_t s : order) {
    if (length(s) > 0) lengths.push_back(length(s));
    for (int64_t row = batch.boundaries[s]; row < batch.boundaries[s + 1]; ++row) {
      layout.sorted_row[row] = static_cast<int64_t>(layout.input.tokens.size());
      layout.input.tokens.push_back(batch.tokens[row]);
      layout.input.positions.push_back(batch.positions[row]);
      layout.input.lengths.push_back(length(s));
    }
  }
  layout.buckets = make_buckets(lengths, device);
  return layout;
}

// [rows, heads, d] -> [sequences, heads, length, d]. Padding comes after each sequence's tokens,
// where causal attention cannot see it. Each padded row has one source, so the backward pass is a
// plain gather.
at::Tensor pad(const at::Tensor& x, const Bucket& bucket) {
  at::Tensor rows = x;
  if (bucket.padded_row.defined()) {
    rows = x.new_zeros({bucket.sequences * bucket.length, x.size(1), x.size(2)})
               .index_copy(0, bucket.padded_row, x);
  }
  return rows.view({bucket.sequences, bucket.length, x.size(1), x.size(2)}).transpose(1, 2);
}

// The inverse of pad(). Its indices are unique, so the order of the additions in the backward pass
// does not matter.
at::Tensor unpad(const at::Tensor& x, const Bucket& bucket) {
  const at::Tensor rows = x.transpose(1, 2).reshape({-1, x.size(1), x.size(3)});
  return bucket.padded_row.defined() ? rows.index_select(0, bucket.padded_row) : rows;
}

// Like attend(), but a token sees only itself and the window - 1 tokens before it. Works on blocks
// of queries with the keys that they see.
at::Tensor attend_within(const ModelConfig& config, int64_t window, const at::Tensor& q,
                         const at::Tensor& k, const at::Tensor& v) {
  const int64_t length = q.size(2), step = std::max<int64_t>(window, 256);
  const at::TensorOptions integers = at::TensorOptions().dtype(at::kLong).device(q.device());
  std::vector<at::Tensor> mixed;
  for (int64_t begin = 0; begin < length; begin += step) {
    const int64_t end = std::min(begin + step, length);
    const int64_t first = std::max<int64_t>(0, begin - window + 1);
    const at::Tensor behind = at::arange(begin, end, integers).unsqueeze(1) -
                              at::arange(first, end, integers).unsqueeze(0);
    mixed.push_back(attend(config, q.slice(2, begin, end), k.slice(2, first, end),
                           v.slice(2, first, end), at::logical_and(behind >= 0, behind < window)));
  }
  return at::cat(mixed, 2);
}

at::Tensor packed_attention(const ModelConfig& config, int layer,
                            const std::vector<Bucket>& buckets, const at::Tensor& q,
                            const at::Tensor& k, const at::Tensor& v) {
  const int window = config.window_of(layer);
  std::vector<int64_t> rows;
  for (const Bucket& bucket : buckets) rows.push_back(bucket.rows);
  const auto qs = q.split_with_sizes(rows), ks = k.split_with_sizes(rows),
             vs = v.split_with_sizes(rows);
  std::vector<at::Tensor> mixed;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const Bucket& bucket = buckets[i];
    const at::Tensor queries = pad(qs[i], bucket), keys = pad(ks[i], bucket),
                     values = pad(vs[i], bucket);
    const bool hides = window > 0 && bucket.length > window;
    mixed.push_back(unpad(hides ? attend_within(config, window, queries, keys, values)
                                : attend(config, queries, keys, values, {}),
                          bucket));
  }
  return at::cat(mixed);
}

}  // namespace

at::Tensor hidden_states(const Weights& weights, const PackedBatch& batch) {
  LS_CHECK(batch.total() > 0 && batch.boundaries.front() == 0 &&
               batch.boundaries.back() == batch.total() &&
               batch.positions.size() == batch.tokens.size(),
           "a packed batch needs tokens, positions and boundaries that agree");
  LS_CHECK(std::ranges::all_of(batch.prompts, [](int p) { return p < 0; }),
           "only the CPU kernels compute sequences that share a prompt");
  const at::Device device = weights.device();
  const BatchLayout layout = lay_out(batch, device);
  const at::Tensor hidden =
      decode_layers(weights, layout.input,
                    [&](int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
                      return packed_attention(weights.config(), layer, layout.buckets, q, k, v);
                    });
  return layout.reordered ? hidden.index_select(0, index_tensor(layout.sorted_row, device))
                          : hidden;
}

at::Tensor final_logits(const Weights& weights, const at::Tensor& hidden) {
  const ModelConfig& config = weights.config();
  const at::Tensor logits = logits_at(hidden, head_weight(weights));
  if (config.logits_scaling != 1) return logits / config.logits_scaling;
  if (config.logit_softcap == 0) return logits;
  return (logits / config.logit_softcap).tanh() * config.logit_softcap;
}

const at::Tensor& head_weight(const Weights& weights) {
  return weights.at(weight_of(head_module(weights.config())));
}

at::Tensor& head_weight(Weights& weights) {
  return const_cast<at::Tensor&>(head_weight(std::as_const(weights)));
}

}  // namespace longshot::model

#include "model/cached_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "model/layers.h"

namespace longshot::model {
namespace {

// Steps with the same number of new tokens; they attend in one call.
struct CallGroup {
  int64_t width = 0;                    // new tokens of each step
  int64_t reach = 0;                    // cached tokens of the longest, new ones included
  at::Tensor slots;                     // [steps]
  at::Tensor new_slots, new_positions;  // [steps * width] where each new token goes in the cache
  at::Tensor mask;  // [steps, 1, width, reach] true where a new token sees a cached one
};

struct Call {
  std::vector<int64_t> tokens, positions;  // [total], groups one after another
  std::vector<CallGroup> groups;
  std::vector<int64_t> last_row;  // [steps] row of each step's last token, in the caller's order
};

CallGroup make_group(std::span<const CachedStep> steps, const std::vector<size_t>& members,
                     at::Device device) {
  CallGroup group;
  group.width = static_cast<int64_t>(steps[members.front()].tokens.size());
  std::vector<int64_t> slots, new_slots, new_positions;
  for (size_t m : members) {
    slots.push_back(steps[m].slot);
    group.reach = std::max(group.reach, steps[m].start + group.width);
    for (int64_t t = 0; t < group.width; ++t) {
      new_slots.push_back(steps[m].slot);
      new_positions.push_back(steps[m].start + t);
    }
  }
  group.slots = index_tensor(slots, device);
  group.new_slots = index_tensor(new_slots, device);
  group.new_positions = index_tensor(new_positions, device);
  const at::Tensor keys =
      at::arange(group.reach, at::TensorOptions().dtype(at::kLong).device(device));
  group.mask = keys <= group.new_positions.view({-1, 1, group.width, 1});
  return group;
}

Call make_call(std::span<const CachedStep> steps, int64_t slots, int64_t max_sequence,
               at::Device device) {
  std::map<size_t, std::vector<size_t>> by_width;
  for (size_t i = 0; i < steps.size(); ++i) {
    const CachedStep& step = steps[i];
    LS_CHECK(!step.tokens.empty() && step.slot >= 0 && step.slot < slots && step.start >= 0 &&
                 step.start + static_cast<int64_t>(step.tokens.size()) <= max_sequence,
             "a step must fit its slot of the cache");
    by_width[step.tokens.size()].push_back(i);
  }
  Call call;
  call.last_row.resize(steps.size());
  for (const auto& [width, members] : by_width) {
    call.groups.push_back(make_group(steps, members, device));
    for (size_t m : members) {
      for (size_t t = 0; t < width; ++t) {
        call.tokens.push_back(steps[m].tokens[t]);
        call.positions.push_back(steps[m].start + static_cast<int64_t>(t));
      }
      call.last_row[m] = static_cast<int64_t>(call.tokens.size()) - 1;
    }
  }
  return call;
}

// rows: [steps * width, kv_heads, d] into [slots, kv_heads, max_sequence, d], then the group's part
// of it, [steps, kv_heads, reach, d].
at::Tensor store_and_read(at::Tensor& cache, const at::Tensor& rows, const CallGroup& group) {
  cache.transpose(1, 2).index_put_({group.new_slots, group.new_positions}, rows);
  return cache.narrow(2, 0, group.reach).index_select(0, group.slots);
}

at::Tensor cached_attention(const Call& call, at::Tensor& k_cache, at::Tensor& v_cache,
                            const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  std::vector<at::Tensor> mixed;
  int64_t begin = 0;
  for (const CallGroup& group : call.groups) {
    const int64_t rows = group.new_slots.numel();
    const at::Tensor keys = store_and_read(k_cache, k.narrow(0, begin, rows), group);
    const at::Tensor values = store_and_read(v_cache, v.narrow(0, begin, rows), group);
    const at::Tensor queries =
        q.narrow(0, begin, rows).view({-1, group.width, q.size(1), q.size(2)}).transpose(1, 2);
    const at::Tensor out = at::scaled_dot_product_attention(
        queries, keys, values, group.mask, /*dropout_p=*/0.0, /*is_causal=*/false,
        /*scale=*/std::nullopt, /*enable_gqa=*/q.size(1) != k.size(1));
    mixed.push_back(out.transpose(1, 2).reshape({rows, q.size(1), q.size(2)}));
    begin += rows;
  }
  return at::cat(mixed);
}

}  // namespace

KvCache make_kv_cache(const ModelConfig& config, int slots, int max_sequence,
                      const std::string& device) {
  KvCache cache;
  const at::TensorOptions options =
      at::TensorOptions().dtype(at::kFloat).device(at::Device(device));
  for (int i = 0; i < config.num_layers; ++i) {
    for (auto* side : {&cache.k, &cache.v}) {
      side->push_back(
          at::zeros({slots, config.num_kv_heads, max_sequence, config.head_dim}, options));
    }
  }
  return cache;
}

void copy_prefix(KvCache& cache, int from, int to, int length) {
  at::NoGradGuard no_grad;
  for (auto* side : {&cache.k, &cache.v}) {
    for (at::Tensor& layer : *side) {
      layer.select(0, to).narrow(1, 0, length).copy_(layer.select(0, from).narrow(1, 0, length));
    }
  }
}

at::Tensor cached_hidden(const Weights& weights, KvCache& cache,
                         std::span<const CachedStep> steps) {
  LS_CHECK(!steps.empty(), "nothing to compute");
  at::NoGradGuard no_grad;
  const at::Device device = weights.device();
  const Call call = make_call(steps, cache.k.front().size(0), cache.k.front().size(2), device);
  const at::Tensor hidden = decode_layers(
      weights, index_tensor(call.tokens, device), index_tensor(call.positions, device),
      [&](int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        return cached_attention(call, cache.k[layer], cache.v[layer], q, k, v);
      });
  return hidden.index_select(0, index_tensor(call.last_row, device));
}

}  // namespace longshot::model

#include "model/torch/cached_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "model/torch/layers.h"

namespace longshot::model {
namespace {

// Steps with the same number of new tokens. They attend in one call.
struct CallGroup {
  int64_t width = 0;  // new tokens of each step
  int64_t reach = 0;  // cached tokens of the longest step, new ones included
  at::Tensor blocks;  // [steps * blocks for reach]; those of a short step are padded with block 0
  at::Tensor new_blocks, new_places;  // [steps * width] the place of each new token in the cache
  at::Tensor mask;         // [steps, 1, width, reach] true where a new token sees a cached one
  at::Tensor window_mask;  // the same in layers with a window; undefined if the model has none
};

struct Call {
  LayerInput input;  // the groups one after another
  std::vector<CallGroup> groups;
  std::vector<int64_t> wanted_rows;  // in the caller's order
};

CallGroup make_group(std::span<const CachedStep> steps, const std::vector<size_t>& members,
                     int64_t block_tokens, int window, at::Device device) {
  CallGroup group;
  group.width = static_cast<int64_t>(steps[members.front()].tokens.size());
  for (size_t m : members) group.reach = std::max(group.reach, steps[m].start + group.width);
  const int64_t needed = (group.reach + block_tokens - 1) / block_tokens;
  std::vector<int64_t> blocks, new_blocks, new_places, new_positions;
  for (size_t m : members) {
    for (int64_t b = 0; b < needed; ++b) {
      blocks.push_back(b < static_cast<int64_t>(steps[m].blocks.size()) ? steps[m].blocks[b] : 0);
    }
    for (int64_t t = 0; t < group.width; ++t) {
      const int64_t position = steps[m].start + t;
      new_blocks.push_back(steps[m].blocks[position / block_tokens]);
      new_places.push_back(position % block_tokens);
      new_positions.push_back(position);
    }
  }
  group.blocks = index_tensor(blocks, device);
  group.new_blocks = index_tensor(new_blocks, device);
  group.new_places = index_tensor(new_places, device);
  const at::Tensor keys =
      at::arange(group.reach, at::TensorOptions().dtype(at::kLong).device(device));
  const at::Tensor positions = index_tensor(new_positions, device).view({-1, 1, group.width, 1});
  group.mask = keys <= positions;
  if (window > 0) group.window_mask = at::logical_and(group.mask, keys > positions - window);
  return group;
}

Call make_call(std::span<const CachedStep> steps, int64_t blocks, int64_t block_tokens, int window,
               at::Device device) {
  std::map<size_t, std::vector<size_t>> by_width;
  for (size_t i = 0; i < steps.size(); ++i) {
    const CachedStep& step = steps[i];
    const int64_t end = step.start + static_cast<int64_t>(step.tokens.size());
    LS_CHECK(!step.tokens.empty() && step.start >= 0 &&
                 end <= static_cast<int64_t>(step.blocks.size()) * block_tokens,
             "a step must fit its blocks of the cache");
    for (const int block : step.blocks) {
      LS_CHECK(block >= 0 && block < blocks, "a block outside the cache");
    }
    by_width[step.tokens.size()].push_back(i);
  }
  Call call;
  std::vector<int64_t> end_row(steps.size());
  for (const auto& [width, members] : by_width) {
    call.groups.push_back(make_group(steps, members, block_tokens, window, device));
    for (size_t m : members) {
      for (size_t t = 0; t < width; ++t) {
        call.input.tokens.push_back(steps[m].tokens[t]);
        call.input.positions.push_back(steps[m].start + static_cast<int64_t>(t));
      }
      end_row[m] = static_cast<int64_t>(call.input.tokens.size());
    }
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    for (int back = steps[i].wanted; back > 0; --back)
      call.wanted_rows.push_back(end_row[i] - back);
  }
  return call;
}

// Writes rows [steps * width, kv_heads, d] into the cache [blocks, block_tokens, kv_heads, d] and
// returns the group's part of the cache, [steps, kv_heads, reach, d].
at::Tensor store_and_read(at::Tensor& cache, const at::Tensor& rows, const CallGroup& group) {
  cache.index_put_({group.new_blocks, group.new_places}, rows);
  const int64_t steps = group.new_blocks.size(0) / group.width;
  return cache.index_select(0, group.blocks)
      .view({steps, -1, cache.size(2), cache.size(3)})
      .narrow(1, 0, group.reach)
      .transpose(1, 2);
}

at::Tensor cached_attention(const ModelConfig& config, int layer, const Call& call, KvCache& cache,
                            const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  std::vector<at::Tensor> mixed;
  int64_t begin = 0;
  for (const CallGroup& group : call.groups) {
    const int64_t rows = group.new_blocks.numel();
    const at::Tensor keys = store_and_read(cache.k[layer], k.narrow(0, begin, rows), group);
    const at::Tensor values = store_and_read(cache.v[layer], v.narrow(0, begin, rows), group);
    const at::Tensor queries =
        q.narrow(0, begin, rows).view({-1, group.width, q.size(1), q.size(2)}).transpose(1, 2);
    const bool window = config.window_of(layer) > 0;
    const at::Tensor out =
        attend(config, queries, keys, values, window ? group.window_mask : group.mask);
    mixed.push_back(out.transpose(1, 2).reshape({rows, q.size(1), q.size(2)}));
    begin += rows;
  }
  return at::cat(mixed);
}

}  // namespace

KvCache make_kv_cache(const ModelConfig& config, int blocks, int block_tokens,
                      const std::string& device) {
  KvCache cache;
  const at::TensorOptions options =
      at::TensorOptions().dtype(at::kFloat).device(at::Device(device));
  for (int i = 0; i < config.num_layers; ++i) {
    for (auto* side : {&cache.k, &cache.v}) {
      side->push_back(
          at::zeros({blocks, block_tokens, config.num_kv_heads, config.head_dim}, options));
    }
  }
  return cache;
}

void copy_block(KvCache& cache, int from, int to) {
  at::NoGradGuard no_grad;
  for (auto* side : {&cache.k, &cache.v}) {
    for (at::Tensor& layer : *side) layer.select(0, to).copy_(layer.select(0, from));
  }
}

at::Tensor cached_hidden(const Weights& weights, KvCache& cache,
                         std::span<const CachedStep> steps) {
  LS_CHECK(!steps.empty(), "nothing to compute");
  at::NoGradGuard no_grad;
  const at::Device device = weights.device();
  const ModelConfig& config = weights.config();
  const Call call = make_call(steps, cache.k.front().size(0), cache.k.front().size(1),
                              config.sliding_window, device);
  const at::Tensor hidden =
      decode_layers(weights, call.input,
                    [&](int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
                      return cached_attention(config, layer, call, cache, q, k, v);
                    });
  return hidden.index_select(0, index_tensor(call.wanted_rows, device));
}

}  // namespace longshot::model

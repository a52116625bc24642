// The layers of a pass that have experts. Where there are many experts, a thread computes a whole
// one by itself; where there are few, all threads share each product.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "rollout/cpu/forward_pass.h"

namespace longshot::rollout::cpu {
namespace {

// Fewer experts than this for each thread do not share the work evenly.
constexpr int kExpertsPerThread = 3;

}  // namespace

// The entries [first, first + count) of one expert: expert_in_ -> expert_out_.
void ForwardPass::expert(Lane& lane, const PanelExpert& expert, const kernels::Routing& routing,
                         int first, int count) {
  product(lane, expert.gate_up, expert_in_, first, count, expert_gate_up_.row(first),
          expert_gate_up_.stride, Store::set, [&](int begin, int end) {
            for (int i = first; i < first + count; ++i) {
              float* act = expert_act_.row(i) + kPanel * begin;
              kernels::gate_mul_panels(gate(), expert_gate_up_.row(i) + 2 * kPanel * begin,
                                       end - begin, act);
              for (int k = 0; k < kPanel * (end - begin); ++k) act[k] *= routing.weight[i];
            }
          });
  product(lane, expert.down, expert_act_, first, count, expert_out_.row(first), expert_out_.stride,
          Store::set);
}

void ForwardPass::experts(const PanelLayer& layer, Buffer& in) {
  const model::ModelConfig& c = model_->config();
  const int hidden = c.hidden_size, width = model_->padded_expert_width(),
            per_token = c.experts.per_token, entries = rows_ * per_token;
  router_logits_.reset(rows_, c.experts.count);
  expert_in_.reset(entries, hidden);
  expert_gate_up_.reset(entries, 2 * width);
  expert_act_.reset(entries, width);
  expert_out_.reset(entries, hidden);
  matmul(layer.router, in, rows_, router_logits_, Store::set);
  const kernels::Rows logits = router_logits_.rows();
  const kernels::Routing routing = kernels::route(
      {c.experts.count, per_token, c.experts.normalized}, {logits.data, logits.stride}, rows_);
  shared_.threads.ranges(entries, int64_t{entries} * hidden, [&](int begin, int end) {
    for (int i = begin; i < end; ++i)
      std::copy_n(in.row(routing.token[i]), hidden, expert_in_.row(i));
  });
  compute_experts(layer, routing);
  shared_.threads.ranges(rows_, int64_t{entries} * hidden, [&](int begin, int end) {
    for (int r = begin; r < end; ++r) {
      for (int i = 0; i < per_token; ++i) {
        const float* out = expert_out_.row(routing.entry[r * per_token + i]);
        for (int k = 0; k < hidden; ++k) x_.row(r)[k] += out[k];
      }
    }
  });
}

void ForwardPass::compute_experts(const PanelLayer& layer, const kernels::Routing& routing) {
  const auto first = [&](int e) { return static_cast<int>(routing.begin[e]); };
  const auto count = [&](int e) { return static_cast<int>(routing.begin[e + 1]) - first(e); };
  std::vector<int> active;
  for (int e = 0; e < static_cast<int>(layer.experts.size()); ++e) {
    if (count(e) > 0) active.push_back(e);
  }
  const int threads = shared_.threads.pool == nullptr ? 1 : shared_.threads.pool->threads();
  if (threads == 1 || static_cast<int>(active.size()) < kExpertsPerThread * threads) {
    for (const int e : active) expert(shared_, layer.experts[e], routing, first(e), count(e));
    return;
  }
  std::ranges::stable_sort(active, std::ranges::greater{}, count);
  own_.resize(threads);
  std::atomic<size_t> next = 0;
  shared_.threads.pool->parallel_for(threads, [&](int t) {
    for (size_t i = next++; i < active.size(); i = next++) {
      const int e = active[i];
      expert(own_[t], layer.experts[e], routing, first(e), count(e));
    }
  });
}

}  // namespace longshot::rollout::cpu

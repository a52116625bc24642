#include "rollout/fake_runner.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::rollout {

FakeRunner::FakeRunner(int vocab_size, const RunnerLimits& limits)
    : limits_(limits), slots_(limits.max_slots) {
  config_.vocab_size = vocab_size;
}

Status FakeRunner::load_weights(const model::WeightsView& weights) {
  version_ = weights.version;
  for (auto& slot : slots_) slot.clear();
  return ok_status();
}

void FakeRunner::copy_prefix(int from, int to, int length) {
  LS_CHECK(length <= static_cast<int>(slots_[from].size()),
           "copy_prefix reads beyond the cached tokens");
  const std::vector<int32_t> prefix(slots_[from].begin(), slots_[from].begin() + length);
  slots_[to] = prefix;
}

void FakeRunner::logits_after(std::span<const int32_t> history, std::span<float> logits) {
  uint64_t state = 0;
  for (const int32_t token : history) state = hash_combine(state, static_cast<uint64_t>(token));
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(hash_combine(state, i) % 4096) / 1024.0f;
  }
}

void FakeRunner::forward(std::span<const Step> steps, std::span<float> logits) {
  const size_t vocab = config_.vocab_size;
  LS_CHECK(logits.size() == steps.size() * vocab, "logits have the wrong size");
  std::set<int> used;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    LS_CHECK(step.slot >= 0 && step.slot < limits_.max_slots, "slot out of range");
    LS_CHECK(used.insert(step.slot).second, "one slot in two steps of a forward");
    auto& cached = slots_[step.slot];
    LS_CHECK(!step.tokens.empty() && step.start <= static_cast<int>(cached.size()),
             "a gap in the cache");
    cached.resize(step.start);
    cached.insert(cached.end(), step.tokens.begin(), step.tokens.end());
    LS_CHECK(static_cast<int>(cached.size()) <= limits_.max_sequence,
             "sequence longer than max_sequence");
    const auto row = logits.subspan(i * vocab, vocab);
    logits_after(cached, row);
    if (forced_ >= 0) row[forced_] = 1000.0f;
    tokens_fed_ += static_cast<int64_t>(step.tokens.size());
  }
  ++forwards_;
  largest_batch_ = std::max(largest_batch_, static_cast<int>(steps.size()));
}

}  // namespace longshot::rollout

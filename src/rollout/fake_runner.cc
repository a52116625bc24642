#include "rollout/fake_runner.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/rng.h"
#include "model/format/adapters/adapter.h"

namespace longshot::rollout {
namespace {

struct FakeAdapter : RunnerAdapter {
  explicit FakeAdapter(double scale_in) : scale(scale_in) {}
  int64_t bytes() const override { return 0; }
  double scale;
};

}  // namespace

FakeRunner::FakeRunner(int vocab_size, const RunnerLimits& limits)
    : limits_(limits), blocks_(limits.blocks()), adapters_(limits.blocks()) {
  config_.vocab_size = vocab_size;
  for (auto& block : blocks_) block.fill(-1);
}

Status FakeRunner::load_weights(const model::WeightsView& weights) {
  version_ = weights.version;
  for (auto& block : blocks_) block.fill(-1);
  return ok_status();
}

Result<std::shared_ptr<const RunnerAdapter>> FakeRunner::prepare_adapter(
    const model::Adapter& adapter) {
  std::shared_ptr<const RunnerAdapter> made =
      std::make_shared<const FakeAdapter>(adapter.lora.scale());
  return made;
}

void FakeRunner::copy_block(int from, int to) {
  blocks_[to] = blocks_[from];
  adapters_[to] = adapters_[from];
}

void FakeRunner::release() {
  for (auto& block : blocks_) block.fill(-1);
  ++releases_;
}

void FakeRunner::logits_after(std::span<const int32_t> history, std::span<float> logits,
                              double scale) {
  uint64_t state = scale == 0 ? 0 : std::bit_cast<uint64_t>(scale);
  for (const int32_t token : history) state = hash_combine(state, static_cast<uint64_t>(token));
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(hash_combine(state, i) % 4096) / 1024.0f;
  }
}

void FakeRunner::forward(std::span<const SequenceStep> steps, std::span<float> logits) {
  const size_t vocab = config_.vocab_size;
  const auto place = [&](const SequenceStep& step, int position) -> int32_t& {
    return blocks_.at(step.blocks[position / kBlockTokens])[position % kBlockTokens];
  };
  LS_CHECK(static_cast<int>(steps.size()) <= limits_.max_running, "more steps than allowed");
  for (const SequenceStep& step : steps) {
    const int end = step.start + static_cast<int>(step.tokens.size());
    LS_CHECK(!step.tokens.empty() && end <= limits_.max_sequence, "an empty or too long step");
    LS_CHECK(blocks_for(end) <= static_cast<int>(step.blocks.size()), "a step without blocks");
    for (int p = step.start; p < end; ++p) {
      place(step, p) = step.tokens[p - step.start];
      adapters_[step.blocks[p / kBlockTokens]] = id_of(step.adapter);
    }
    tokens_fed_ += static_cast<int64_t>(step.tokens.size());
  }
  size_t row = 0;
  for (const SequenceStep& step : steps) {
    const int end = step.start + static_cast<int>(step.tokens.size());
    const auto* adapter = static_cast<const FakeAdapter*>(step.adapter);
    const double scale = adapter == nullptr ? 0 : adapter->scale;
    std::vector<int32_t> history;
    for (int p = 0; p < end; ++p) {
      history.push_back(place(step, p));
      LS_CHECK(history.back() >= 0, "a gap in the cache");
      LS_CHECK(adapters_[step.blocks[p / kBlockTokens]] == id_of(step.adapter),
               "a block of another adapter");
      if (p < end - step.logits) continue;
      LS_CHECK((row + 1) * vocab <= logits.size(), "logits have the wrong size");
      const auto out = logits.subspan(row++ * vocab, vocab);
      logits_after(history, out, scale);
      if (forced_ >= 0) out[forced_] = 1000.0f;
    }
  }
  LS_CHECK(row * vocab == logits.size(), "logits have the wrong size");
  ++forwards_;
  largest_batch_ = std::max(largest_batch_, static_cast<int>(steps.size()));
}

}  // namespace longshot::rollout

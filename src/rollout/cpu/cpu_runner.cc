#include <algorithm>

#include "base/check.h"
#include "rollout/cpu/forward_pass.h"
#include "rollout/runner.h"

namespace longshot::rollout {
namespace cpu {
namespace {

// Rows that go through the layers together: bounds the activations, and keeps a GEMM's rows in the second cache.
constexpr int kMaxRows = 256;
// With this many rows a thread does better on its own half of them than on half of every matrix, because it then
// waits for the others once per forward and not several times per layer.
constexpr int kRowsPerThread = 24;

class CpuRunner : public Runner {
 public:
  CpuRunner(const RunnerLimits& limits, int threads)
      : limits_(limits), pool_(threads), passes_(threads) {}

  Status load_weights(const model::WeightsView& weights) override;
  int64_t version() const override { return version_; }
  void copy_prefix(int from, int to, int length) override { cache_.copy_prefix(from, to, length); }
  void forward(std::span<const Step> steps, std::span<float> logits) override;
  const model::ModelConfig& config() const override { return model_.config(); }
  RunnerLimits limits() const override { return limits_; }
  bool batch_invariant() const override { return true; }

 private:
  std::vector<std::span<const Piece>> split(std::span<const Piece> pieces) const;
  void run(std::span<const Piece> pieces, ForwardPass& pass, const Workers& workers);

  RunnerLimits limits_;
  ThreadPool pool_;
  std::vector<ForwardPass> passes_;  // one per thread
  PackedModel model_;
  KvCache cache_;
  RopeTable rope_;
  int64_t version_ = -1;
};

Status CpuRunner::load_weights(const model::WeightsView& weights) {
  LS_RETURN_IF_ERROR(model_.load(weights, pool_));
  const model::ModelConfig& c = model_.config();
  cache_ = KvCache({c.num_layers, c.num_kv_heads, c.head_dim}, limits_.max_slots);
  rope_.reset(c);
  version_ = weights.version;
  return ok_status();
}

// Contiguous parts of about equally many rows, one per thread; a single part if that is not possible.
std::vector<std::span<const Piece>> CpuRunner::split(std::span<const Piece> pieces) const {
  const int threads = pool_.threads();
  int64_t rows = 0;
  for (const Piece& piece : pieces) rows += static_cast<int64_t>(piece.tokens.size());
  if (threads == 1 || rows < threads * kRowsPerThread) return {pieces};
  std::vector<std::span<const Piece>> parts;
  int64_t seen = 0, largest = 0, part_rows = 0;
  size_t begin = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    seen += static_cast<int64_t>(pieces[i].tokens.size());
    part_rows += static_cast<int64_t>(pieces[i].tokens.size());
    if (seen * threads < rows * static_cast<int64_t>(parts.size() + 1)) continue;
    parts.push_back(pieces.subspan(begin, i + 1 - begin));
    largest = std::max(largest, part_rows);
    begin = i + 1;
    part_rows = 0;
  }
  if (largest * threads * 10 > rows * 12) return {pieces};
  return parts;
}

// Passes of at most kMaxRows rows; a longer piece is cut, which does not change its result.
void CpuRunner::run(std::span<const Piece> pieces, ForwardPass& pass, const Workers& workers) {
  std::vector<Piece> batch;
  int rows = 0;
  const auto flush = [&] {
    if (!batch.empty()) pass.run(model_, cache_, rope_, batch, workers);
    batch.clear();
    rows = 0;
  };
  for (const Piece& whole : pieces) {
    size_t done = 0;
    while (done < whole.tokens.size()) {
      const size_t count =
          std::min(whole.tokens.size() - done, static_cast<size_t>(kMaxRows - rows));
      Piece part = whole;
      part.start += static_cast<int>(done);
      part.tokens = whole.tokens.subspan(done, count);
      part.row = rows;
      done += count;
      if (done < whole.tokens.size()) part.logits = nullptr;
      batch.push_back(part);
      rows += static_cast<int>(count);
      if (rows == kMaxRows) flush();
    }
  }
  flush();
}

void CpuRunner::forward(std::span<const Step> steps, std::span<float> logits) {
  const size_t vocab = model_.config().vocab_size;
  LS_CHECK(version_ >= 0, "forward() before load_weights()");
  LS_CHECK(logits.size() == steps.size() * vocab, "logits must be [steps, vocab]");
  std::vector<Piece> pieces;
  int longest = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const int end = step.start + static_cast<int>(step.tokens.size());
    LS_CHECK(step.slot >= 0 && step.slot < limits_.max_slots, "slot out of range");
    LS_CHECK(!step.tokens.empty() && end <= limits_.max_sequence,
             "a step is empty or exceeds max_sequence");
    for (const int32_t id : step.tokens)
      LS_CHECK(id >= 0 && id < static_cast<int>(vocab), "token out of range");
    cache_.prepare(step.slot, step.start, end);
    longest = std::max(longest, end);
    pieces.push_back({step.slot, step.start, step.tokens, 0, logits.data() + i * vocab});
  }
  rope_.grow(longest);
  const auto parts = split(pieces);
  if (parts.size() == 1) {
    run(parts[0], passes_[0], Workers{pool_.threads() > 1 ? &pool_ : nullptr});
  } else {
    pool_.parallel_for(static_cast<int>(parts.size()),
                       [&](int i) { run(parts[i], passes_[i], Workers{}); });
  }
}

}  // namespace
}  // namespace cpu

std::unique_ptr<Runner> make_cpu_runner(const RunnerLimits& limits, int threads) {
  return std::make_unique<cpu::CpuRunner>(limits, threads);
}

}  // namespace longshot::rollout

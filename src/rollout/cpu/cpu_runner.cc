#include "rollout/cpu/cpu_runner.h"

#include <algorithm>

#include "base/check.h"
#include "rollout/cpu/forward_pass.h"
#include "rollout/runner.h"

namespace longshot::rollout {
namespace cpu {
namespace {

// Rows that go through the layers together. The limit bounds the activations and keeps a GEMM's
// rows in the second-level cache.
constexpr int kMaxRows = 256;

class CpuRunner : public Runner {
 public:
  CpuRunner(const RunnerLimits& limits, int threads) : limits_(limits), pool_(threads) {}

  Status load_weights(const model::WeightsView& weights) override;
  int64_t version() const override { return version_; }
  Result<std::shared_ptr<const RunnerAdapter>> prepare_adapter(
      const model::Adapter& adapter) override;
  void release() override;
  void copy_block(int from, int to) override { blocks_.copy(from, to); }
  void forward(std::span<const SequenceStep> steps, std::span<float> logits) override;
  const model::ModelConfig& config() const override { return model_.config(); }
  RunnerLimits limits() const override { return limits_; }
  bool batch_invariant() const override { return true; }
  int64_t kv_bytes() const override { return blocks_.bytes(); }
  int64_t weight_bytes() const override { return model_.bytes(); }
  double overhead_rows() const override;

 private:
  std::vector<SequenceRows> pieces_of(std::span<const SequenceStep> steps, std::span<float> logits);
  const PanelAdapter* adapter_of(const SequenceStep& step) const;
  void run(std::span<const SequenceRows> pieces);
  void take_logits(const SequenceRows& whole, size_t end, SequenceRows& part) const;

  RunnerLimits limits_;
  ThreadPool pool_;
  ForwardPass pass_;
  PanelModel model_;
  KvBlocks blocks_;
  std::vector<std::byte*> pages_;  // of all steps of one forward()
  RopeTable rope_;
  int64_t version_ = -1;
  bool loaded_ = false;
};

Status CpuRunner::load_weights(const model::WeightsView& weights) {
  if (limits_.kv == NumberFormat::int4)
    return invalid_argument("the KV cache can be float32, bfloat16 or int8, not int4");
  LS_RETURN_IF_ERROR(model::check_rope_length(weights.config, limits_.max_sequence));
  LS_RETURN_IF_ERROR(model_.load(weights, limits_.weights, pool_));
  const model::ModelConfig& c = model_.config();
  const KvShape shape{c.num_layers, c.num_kv_heads, c.head_dim, limits_.kv};
  if (!(shape == blocks_.shape())) blocks_ = KvBlocks(shape, limits_.blocks());
  rope_.reset(c);
  version_ = weights.version;
  loaded_ = true;
  return ok_status();
}

Result<std::shared_ptr<const RunnerAdapter>> CpuRunner::prepare_adapter(
    const model::Adapter& adapter) {
  LS_CHECK(loaded_, "prepare_adapter() before load_weights()");
  LS_ASSIGN_OR_RETURN(std::shared_ptr<const RunnerAdapter> made,
                      PanelAdapter::make(adapter, model_.config()));
  return made;
}

// The adapter of a step, which is one of prepare_adapter().
const PanelAdapter* CpuRunner::adapter_of(const SequenceStep& step) const {
  const auto* adapter = static_cast<const PanelAdapter*>(step.adapter);
  LS_CHECK(adapter == nullptr || adapter->fits(model_.config()), "an adapter of another network");
  return adapter;
}

void CpuRunner::release() {
  model_.free();
  blocks_ = KvBlocks();
  pass_ = ForwardPass();
  loaded_ = false;
}

// Low on purpose. Up to about 8 rows a pass is bound by reading the weights, and further rows are
// nearly free. Beyond that it is bound by arithmetic, with AVX2 sooner than with AVX-512. int8
// weights are read faster.
double CpuRunner::overhead_rows() const {
  return limits_.weights == NumberFormat::int8 ? 2 : 4;
}

// Gives `part`, which ends at token `end` of `whole`, its share of the requested logits.
void CpuRunner::take_logits(const SequenceRows& whole, size_t end, SequenceRows& part) const {
  const int unwanted = static_cast<int>(whole.tokens.size()) - whole.wanted;
  const int last = static_cast<int>(end), first = last - static_cast<int>(part.tokens.size());
  part.wanted = std::max(0, last - std::max(first, unwanted));
  const auto skipped = static_cast<size_t>(std::max(0, first - unwanted));
  part.logits = whole.logits + skipped * model_.config().vocab_size;
}

// Runs passes of at most kMaxRows rows. A longer piece is cut, which does not change its result.
void CpuRunner::run(std::span<const SequenceRows> pieces) {
  const ThreadRanges workers{pool_.threads() > 1 ? &pool_ : nullptr};
  std::vector<SequenceRows> batch;
  int rows = 0;
  const auto flush = [&] {
    if (!batch.empty()) pass_.run(model_, blocks_.shape(), rope_, batch, workers);
    batch.clear();
    rows = 0;
  };
  for (const SequenceRows& whole : pieces) {
    size_t done = 0;
    while (done < whole.tokens.size()) {
      const size_t count =
          std::min(whole.tokens.size() - done, static_cast<size_t>(kMaxRows - rows));
      SequenceRows part = whole;
      part.start += static_cast<int>(done);
      part.tokens = whole.tokens.subspan(done, count);
      part.row = rows;
      done += count;
      take_logits(whole, done, part);
      batch.push_back(part);
      rows += static_cast<int>(count);
      if (rows == kMaxRows) flush();
    }
  }
  flush();
}

std::vector<SequenceRows> CpuRunner::pieces_of(std::span<const SequenceStep> steps,
                                               std::span<float> logits) {
  const size_t vocab = model_.config().vocab_size;
  size_t pages = 0, row = 0;
  for (const SequenceStep& step : steps) {
    const size_t end = step.start + step.tokens.size();
    LS_CHECK(!step.tokens.empty() && end <= static_cast<size_t>(limits_.max_sequence),
             "a step is empty or exceeds max_sequence");
    LS_CHECK(step.blocks.size() >= static_cast<size_t>(blocks_for(static_cast<int>(end))),
             "a step without blocks");
    for (const int32_t id : step.tokens)
      LS_CHECK(id >= 0 && id < static_cast<int>(vocab), "token out of range");
    pages += step.blocks.size();
    LS_CHECK(step.logits >= 0 && step.logits <= static_cast<int>(step.tokens.size()),
             "a step wants logits of more tokens than it has");
    row += step.logits;
  }
  LS_CHECK(logits.size() == row * vocab, "logits must be [tokens that want them, vocab]");
  pages_.clear();
  pages_.reserve(pages);  // pieces point into it
  std::vector<SequenceRows> pieces;
  float* out = logits.data();
  for (const SequenceStep& step : steps) {
    const size_t first = pages_.size();
    for (const int block : step.blocks) pages_.push_back(blocks_.at(block));
    pieces.push_back({std::span(pages_).subspan(first), step.start, step.tokens, 0, out,
                      step.logits, adapter_of(step)});
    out += step.logits * vocab;
  }
  std::ranges::stable_sort(pieces, {}, [](const SequenceRows& p) { return id_of(p.adapter); });
  return pieces;
}

void CpuRunner::forward(std::span<const SequenceStep> steps, std::span<float> logits) {
  LS_CHECK(loaded_, "forward() before load_weights()");
  const std::vector<SequenceRows> pieces = pieces_of(steps, logits);
  int longest = 0;
  for (const SequenceStep& step : steps) {
    longest = std::max(longest, step.start + static_cast<int>(step.tokens.size()));
  }
  rope_.grow(longest);
  run(pieces);
}

}  // namespace
}  // namespace cpu

std::unique_ptr<Runner> make_cpu_runner(const RunnerLimits& limits, int threads) {
  return std::make_unique<cpu::CpuRunner>(limits, threads);
}

}  // namespace longshot::rollout

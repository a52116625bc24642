#pragma once
// A runner without a model: its logits are a hash of the adapter and the tokens in the sequence's
// blocks. It checks how it is used, so that tests of the engine see a wrong position, a stale
// prefix or a block of another sequence or adapter at once.

#include <array>
#include <atomic>
#include <vector>

#include "rollout/runner.h"

namespace longshot::rollout {

class FakeRunner : public Runner {
 public:
  FakeRunner(int vocab_size, const RunnerLimits& limits);

  Status load_weights(const model::WeightsView& weights) override;  // only the version matters
  int64_t version() const override { return version_; }
  // Only the scale of the adapter matters: it is part of the hash.
  Result<std::shared_ptr<const RunnerAdapter>> prepare_adapter(
      const model::Adapter& adapter) override;
  void release() override;  // forgets the content of the blocks
  void copy_block(int from, int to) override;
  void forward(std::span<const SequenceStep> steps, std::span<float> logits) override;
  const model::ModelConfig& config() const override { return config_; }
  RunnerLimits limits() const override { return limits_; }
  bool batch_invariant() const override { return true; }
  int64_t kv_bytes() const override { return 0; }
  int64_t weight_bytes() const override { return 0; }
  double overhead_rows() const override { return overhead_rows_; }

  void set_version(int64_t version) { version_ = version; }
  // The logits that follow `history`, as written by forward(). `scale`: of the adapter; 0: none.
  static void logits_after(std::span<const int32_t> history, std::span<float> logits,
                           double scale = 0);
  // Makes `token` almost certain in all further logits.
  void always(int32_t token) { forced_ = token; }

  void set_overhead_rows(double rows) { overhead_rows_ = rows; }

  int64_t tokens_fed() const { return tokens_fed_; }
  int64_t forwards() const { return forwards_; }
  int largest_batch() const { return largest_batch_; }
  int releases() const { return releases_; }

 private:
  model::ModelConfig config_;
  RunnerLimits limits_;
  int64_t version_ = 0;
  std::vector<std::array<int32_t, kBlockTokens>> blocks_;  // the tokens they hold; -1: none
  std::vector<int64_t> adapters_;                          // that the blocks were computed with
  int32_t forced_ = -1;
  double overhead_rows_ = 8;
  int64_t tokens_fed_ = 0, forwards_ = 0;
  int largest_batch_ = 0;
  std::atomic<int> releases_{0};
};

}  // namespace longshot::rollout

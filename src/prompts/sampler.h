#pragma once
// Chooses the prompts of an iteration.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/spelling.h"
#include "base/status.h"
#include "data/types.h"
#include "prompts/streaks.h"

namespace longshot::prompts {

enum class Order {
  uniform,     // epoch by epoch, each a new permutation
  curriculum,  // the same, within a window of difficulty that changes with the iteration
  // In proportion to max(prioritized_floor, 1 - s_i), where s_i is the success rate of the problem
  // (0 if unknown); also within the window if the options have a table.
  prioritized,
};

constexpr auto spellings(Order) {
  using enum Order;
  return std::to_array<Spelling<Order>>(
      {{uniform, "uniform"}, {curriculum, "curriculum"}, {prioritized, "prioritized"}});
}

struct SamplerOptions {
  Order order = Order::uniform;
  // The curriculum's table. From iteration curriculum_iterations[i] (ascending) on, problems with
  // curriculum_min_difficulty[i] <= difficulty <= curriculum_max_difficulty[i] are eligible; before
  // the first entry all are. The ablation of the report (mixed until iteration 24, then only hard)
  // is {24}, {hard}, {infinity}.
  std::vector<double> curriculum_iterations;
  std::vector<double> curriculum_min_difficulty;
  std::vector<double> curriculum_max_difficulty;
  double prioritized_floor = 0.05;  // in (0, 1]
  Filter filter = Filter::none;
};

// Error: the table does not fit the order, is not ascending or has columns of different lengths.
Status check_curriculum(const SamplerOptions& options);

// Chooses prompts; its state (draw counts, success rates, position) is saved with a checkpoint.
// Every choice is a function of the seed and the state, so a restored sampler continues like the
// uninterrupted one. Not thread-safe.
class PromptSampler {
 public:
  PromptSampler(PromptSampler&&) = default;
  PromptSampler& operator=(PromptSampler&&) = default;

  // Checks prompts and options, else invalid_argument: at least one prompt, unique ids,
  // what check_curriculum() checks, and no window without a prompt.
  static Result<PromptSampler> create(std::vector<data::Prompt> prompts, SamplerOptions options,
                                      uint64_t seed);
  // The same without checking the options; duplicate ids abort. The caller must pass valid options.
  PromptSampler(std::vector<data::Prompt> prompts, SamplerOptions options, uint64_t seed);

  // Returns `count` different prompts, or all eligible ones if there are fewer. With uniform and
  // curriculum every eligible prompt occurs once in each epoch; a call may span two epochs.
  // A filter skips prompts, by a random number of (seed, iteration, prompt); a prompt that is
  // skipped has had its turn in the epoch. A call skips at most as many prompts as are eligible and
  // then takes those that follow, so it always returns.
  // Draw::seed = hash_combine(seed, number of earlier draws of this prompt).
  std::vector<data::Draw> next(int count, int64_t iteration);
  // Updates s_i with the mean correctness of a finished group. s_i is the exact mean of the first
  // three groups; from the fourth on it is an exponential mean with weight 0.3, because results of
  // much older policies say little about the current one. Ids that are not in the set are ignored
  // (a replay buffer may hold groups of another set).
  void record(const std::string& prompt_id, double mean_correct);
  // Tells the filter whether the rewards of a finished group differ, and their mean. Ids that are
  // not in the set are ignored. Without a filter it does nothing.
  void record_rewards(const std::string& prompt_id, bool has_variance, double mean_reward);
  // Adjusts the filter to the groups recorded since the last call, once as many prompts have been
  // drawn, used or skipped, as the data set has.
  void end_iteration();
  // With a filter: prompts/skipped since the last call; prompts/p_easy and prompts/p_hard;
  // prompts/easy_share and prompts/hard_share of the groups of the last iteration. Else nothing.
  Metrics take_metrics();
  // Takes over the filter's numbers, and what `other` knows about the prompts that both have: the
  // number of draws, and for prompts with the same content the success rate and the streak. Before
  // the first call of next().
  void adopt(const PromptSampler& other);
  const data::Prompt* find(const std::string& prompt_id) const;
  double success_rate(const std::string& prompt_id) const;  // -1 = never recorded

  // The state that next() and record() change. Plain numbers, 36 bytes per prompt: cheap enough to
  // copy in every iteration.
  struct Snapshot {
    struct Visits {
      double success = -1;  // running success rate, -1 = never recorded
      int64_t records = 0;
      int64_t draws = 0;
      Streak streak = 0;
    };
    std::vector<Visits> visits;
    std::vector<uint32_t> order;  // the current epoch's permutation of the eligible prompts
    size_t moved = 0;             // order[moved..] is unchanged since start_epoch()
    int64_t epoch = 0, position = 0, calls = 0;
    int window = -1;  // the window `order` was made for
    Exploration exploration;
    int64_t turns = 0;  // prompts that were used or skipped, counted with a filter only
  };
  const Snapshot& snapshot() const { return now_; }
  // The JSON form for a checkpoint; it only has entries for prompts that were drawn or recorded.
  Json state(const Snapshot& snapshot) const;
  Json state() const { return state(now_); }
  // Restores a saved state. invalid_argument if it was saved with other prompts (ids, contents,
  // answers or difficulties) or another seed; corrupt if it contradicts itself. With another order
  // or table the success rates are kept and a new epoch begins.
  Status restore(const Json& state);
  size_t size() const { return prompts_.size(); }
  // The number of eligible prompts in each curriculum stage; {size()} without a curriculum.
  std::vector<size_t> stage_sizes() const;
  std::string debug_string() const;

 private:
  using Visits = Snapshot::Visits;
  int window_at(int64_t iteration) const;  // row of the curriculum table, -1 = before the first
  bool eligible(size_t prompt, int window) const;
  // The order of an epoch before any prompt of it is drawn.
  std::vector<uint32_t> epoch_order(int64_t epoch, int window) const;
  void start_epoch(int window);
  std::vector<uint32_t> next_in_epoch(size_t count, int window, int64_t iteration);
  std::vector<uint32_t> next_prioritized(size_t count, int window, int64_t iteration);
  bool filters() const { return options_.filter == Filter::greso; }
  bool skips(uint32_t prompt, int64_t iteration);

  std::vector<data::Prompt> prompts_;
  SamplerOptions options_;
  uint64_t seed_;
  uint64_t fingerprint_;                                  // of the data set
  std::unordered_map<std::string_view, uint32_t> index_;  // by id; views into prompts_
  Snapshot now_;
  Outcomes outcomes_, last_outcomes_;  // of this iteration, of the last one
  int64_t skipped_ = 0;
};

}  // namespace longshot::prompts

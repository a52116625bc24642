#pragma once
// Chooses which prompts an iteration sees.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"

namespace longshot::prompts {

struct SamplerOptions {
  // "uniform": epoch by epoch, each a fresh permutation.
  // "curriculum": the same, within a window of difficulty that moves with the iteration (the table
  // below). "prioritized": in proportion to max(prioritized_floor, 1 - s_i), s_i the success rate
  // of the problem; within the window too if a table is given.
  std::string order = "uniform";
  // The curriculum's table: from iteration curriculum_iterations[i] (ascending) on, problems with
  // curriculum_min_difficulty[i] <= difficulty <= curriculum_max_difficulty[i] are eligible; before
  // the first entry all are. The report's ablation, mixed until iteration 24 and then hard only:
  // {24}, {hard}, {infinity}.
  std::vector<double> curriculum_iterations;
  std::vector<double> curriculum_min_difficulty;
  std::vector<double> curriculum_max_difficulty;
  double prioritized_floor =
      0.05;  // lowest weight, in (0, 1], so that a solved problem is still seen
};

// Chooses prompts; its state (draw counts, success rates, position) is saved with a checkpoint.
// Every choice is a function of the seed and the state, so a restored sampler goes on as the
// uninterrupted one. Not thread-safe.
class PromptSampler {
 public:
  PromptSampler(PromptSampler&&) = default;
  PromptSampler& operator=(PromptSampler&&) = default;

  // Checks the options against the data: known order, table of equal lengths and ascending, no
  // window without a prompt.
  static Result<PromptSampler> create(std::vector<data::Prompt> prompts, SamplerOptions options,
                                      uint64_t seed);
  // The same; wrong options are a bug of the caller.
  PromptSampler(std::vector<data::Prompt> prompts, SamplerOptions options, uint64_t seed);

  // `count` different prompts, or all eligible ones if they are fewer: no prompt occurs twice in
  // one call. uniform, curriculum: every eligible prompt occurs once in each epoch; a call may span
  // two epochs. Draw::seed = hash_combine(seed, how often this prompt was drawn before).
  std::vector<data::Draw> next(int count, int64_t iteration);
  // s_i moves to the mean correctness of a finished group: the exact mean of the first visits, from
  // the fourth on an exponential one with weight 0.3, since the policy of long ago says little
  // about the present one. Ids that are not in the set are ignored (a replay buffer may hold groups
  // of another set).
  void record(const std::string& prompt_id, double mean_correct);
  const data::Prompt* find(const std::string& prompt_id) const;
  double success_rate(const std::string& prompt_id) const;  // -1 = never recorded

  // What next() and record() change. Plain numbers, 28 bytes for a prompt: cheap enough to be taken
  // at every iteration.
  struct Snapshot {
    struct Visits {
      double success = -1;  // running success rate, -1 = never recorded
      int64_t records = 0;
      int64_t draws = 0;
    };
    std::vector<Visits> visits;
    std::vector<uint32_t> order;  // the present epoch's permutation of the eligible prompts
    size_t moved = 0;             // entries of `order` from which on it is as start_epoch() made it
    int64_t epoch = 0, position = 0, calls = 0;
    int window = -1;  // the window `order` was made for
  };
  const Snapshot& snapshot() const { return now_; }
  // The form for a file: it has an entry for each prompt that was drawn or recorded, not for the
  // others.
  Json state(const Snapshot& snapshot) const;
  Json state() const { return state(now_); }
  // An error if the state was saved with other prompts (ids, contents, answers or difficulties) or
  // another seed. With another order or table the success rates stay and a new epoch begins.
  Status restore(const Json& state);
  size_t size() const { return prompts_.size(); }
  // Eligible prompts of each curriculum stage; without a curriculum size() alone.
  std::vector<size_t> stage_sizes() const;
  std::string debug_string() const;

 private:
  using Visits = Snapshot::Visits;
  int window_at(int64_t iteration) const;  // row of the curriculum table, -1 = before the first
  bool eligible(size_t prompt, int window) const;
  // The order of an epoch before any of it is drawn.
  std::vector<uint32_t> epoch_order(int64_t epoch, int window) const;
  void start_epoch(int window);
  std::vector<uint32_t> next_in_epoch(size_t count, int window);
  std::vector<uint32_t> next_prioritized(size_t count, int window) const;

  std::vector<data::Prompt> prompts_;
  SamplerOptions options_;
  uint64_t seed_;
  uint64_t fingerprint_;                                  // of the data set
  std::unordered_map<std::string_view, uint32_t> index_;  // by id; views into prompts_
  Snapshot now_;
};

}  // namespace longshot::prompts

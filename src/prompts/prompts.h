#pragma once
// Data sets become prompts; samplers choose which ones an iteration sees.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::prompts {

// Which columns of a row mean what. Defaults are verl's and TRL's names.
struct ColumnMapping {
  std::string prompt = "prompt";
  std::string
      ground_truth;  // empty: reward_model.ground_truth, else ground_truth, answer, solution
  std::string data_source = "data_source";
  std::string difficulty;     // empty: extra_info.difficulty, else difficulty, else 0
  bool apply_chat_template = true;  // texts too, as the user's message
  std::string system_prompt;  // text put before every chat as a system message; empty = none
};

// A row of a JSONL or parquet file as a JSON object, with where it stands ("file.jsonl:12").
struct Row {
  Json json;
  std::string where;
  // The line itself where it mentions tools: chat templates write the keys of tools in their order.
  std::string text = {};
};
// Hands over the rows of the files one by one, so that a large file is never in memory as JSON as a
// whole. Stops at the first error, its own or that of `use`. "-" is stdin; a FIFO is read to its
// end.
Status for_each_row(const std::vector<std::string>& files,
                    const std::function<Status(Row&& row)>& use);
// All of them.
Result<std::vector<Row>> read_rows(const std::vector<std::string>& files);

// Rows to prompts. A bad row is an error naming file and line. Rows with the id or the content of an
// earlier one are numbered (docs/formats.md), with one warning.
Result<std::vector<data::Prompt>> read_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& mapping);

// Fills Prompt::tokens by the chat template. A text is the user's message where the model has a
// template and `apply_chat_template` is set, which a warning counts; else it is encoded as it is,
// with leading BOS where the tokenizer has one. Prompts longer than max_prompt_length are dropped and counted in `dropped` (verl's
// filter_overlong_prompts).
Status tokenize_prompts(std::vector<data::Prompt>& prompts, const tokenizer::Tokenizer& tokenizer,
                        const tokenizer::ChatTemplate& chat_template, int max_prompt_length,
                        int* dropped, bool apply_chat_template = true);

// One supervised row (SFT): loss on response tokens only.
// Schemas: TRL messages (every assistant turn is trained on), prompt+completion (strings or message
// lists), text (plain language modelling: all tokens), verl (prompt messages + extra_info.answer or
// `response`). A prompt that is a text is the user's message as in tokenize_prompts.
struct SupervisedExample {
  std::vector<data::TokenId> tokens;
  std::vector<uint8_t> loss_mask;  // [tokens.size()]
  std::string where;
};
Result<std::vector<SupervisedExample>> read_supervised(const std::vector<std::string>& files,
                                                       const tokenizer::Tokenizer& tokenizer,
                                                       const tokenizer::ChatTemplate& chat_template,
                                                       data::TokenId eos, int max_length,
                                                       int* dropped,
                                                       bool apply_chat_template = true);

// One row for a reward model: a response with a label, or a pair of responses.
struct JudgedRow {
  std::vector<data::Message> question;  // ends with the user's turn; empty: there is none
  std::string reference;                // the right answer, if the row has one
  std::string response;                 // of a pair: the better one
  std::string rejected;                 // of a pair: the worse one
  bool pair = false;
  double label = 1;  // in [0, 1]: the chance that the response is right
  std::string where;
};
// Schemas: TRL's prompt+completion+label and prompt+chosen+rejected, the latter also with the prompt inside `chosen` and
// `rejected`; a verl prompt with `response` and `label`. A prompt that is a text is the user's turn. label: true, false
// or a number in [0, 1]. The reference comes from reward_model.ground_truth, ground_truth, answer or solution.
Result<std::vector<JudgedRow>> read_judged(const std::vector<std::string>& files);

// The row as a reward model with a scalar head reads it (tokenizer/judged_text.h).
struct JudgedExample {
  std::vector<data::TokenId> tokens;
  std::vector<data::TokenId> rejected;  // empty: the row is no pair
  double label = 1;
};
// Rows of which a response is longer than max_length are left out and counted in `dropped`. Errors name the row.
Result<std::vector<JudgedExample>> encode_judged(const std::vector<JudgedRow>& rows,
                                                 const tokenizer::Tokenizer& tokenizer,
                                                 const tokenizer::ChatTemplate& chat_template,
                                                 data::TokenId eos, int max_length, int* dropped);

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
  uint64_t fingerprint_;  // of the data set
  std::unordered_map<std::string_view, uint32_t> index_;  // by id; views into prompts_
  Snapshot now_;
};

}  // namespace longshot::prompts

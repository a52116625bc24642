#include "datasets/tasks/make_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/os/fs.h"
#include "base/os/output.h"
#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

constexpr double kMinValShare = 0.05, kMaxValShare = 0.5;
// A level has no further problems for a split after this many draws in a row, of problems that the
// split may have, without a new one.
constexpr double kDrawsUntilExhausted = 2000;

struct Levels {
  int low, high;
};

struct Found {
  Problem problem;
  int level;
};

Result<Levels> choose_levels(const MakeOptions& options, const Task& task) {
  if (options.low_level == 0 && options.high_level == 0)
    return Levels{task.default_low, task.default_high};
  if (options.low_level < task.min_level || options.high_level > task.max_level ||
      options.low_level > options.high_level) {
    return invalid_argument(fmt::format("levels {}-{}: task {} has levels {}-{} ({})",
                                        options.low_level, options.high_level, task.name,
                                        task.min_level, task.max_level, task.level));
  }
  return Levels{options.low_level, options.high_level};
}

// The share of all problems that is kept for validation, so that easy levels with few problems
// serve both.
double val_share(const MakeOptions& options, const Task& task) {
  if (options.val == 0) return 0;
  const int supervised = task.many_completions ? 0 : options.sft;  // needs fewer problems than rows
  const double others = std::max({options.train, supervised, 1});
  return std::clamp(options.val / (options.val + others), kMinValShare, kMaxValShare);
}

bool is_for_val(const std::string& key, double share) {
  return static_cast<double>(hash64(key) >> 11) * 0x1.0p-53 < share;
}

// Makes `count` different problems, taking the levels in turn. A level without new problems leaves
// its turn to the others.
Result<std::vector<Found>> generate(const MakeOptions& options, const Task& task, Levels levels,
                                    const char* split, int count) {
  const bool val = std::string_view(split) == "val";
  const bool repeats = task.many_completions && std::string_view(split) == "sft";
  const double share = val_share(options, task);
  CounterRng rng(hash_combine(hash_combine(options.seed, hash64(task.name)), hash64(split)));
  std::vector<int> live;
  for (int level = levels.low; level <= levels.high; ++level) live.push_back(level);
  std::vector<Found> found;
  std::unordered_set<std::string> seen;
  size_t turn = 0;
  const double patience = kDrawsUntilExhausted / (val ? share : 1 - share);
  int fruitless = 0;
  while (static_cast<int>(found.size()) < count && !live.empty()) {
    const int level = live[turn % live.size()];
    Problem problem = task.make(level, rng);
    const std::string content = problem.key + (repeats ? problem.chars.completion : "");
    if (is_for_val(problem.key, share) == val && seen.insert(content).second) {
      found.push_back({std::move(problem), level});
      fruitless = 0;
      ++turn;
    } else if (++fruitless > patience) {
      live.erase(live.begin() + static_cast<long>(turn % live.size()));
      fruitless = 0;
    }
  }
  if (static_cast<int>(found.size()) < count) {
    return invalid_argument(
        fmt::format("{}: {} rows asked for, but levels {}-{} have about {} "
                    "different problems "
                    "for it; ask for fewer rows or more levels",
                    split, count, levels.low, levels.high, found.size()));
  }
  return found;
}

OrderedJson user_turn(const std::string& text) {
  return OrderedJson::array({{{"role", "user"}, {"content", text}}});
}

OrderedJson prompt_row(const MakeOptions& options, const Task& task, const Found& found,
                       const char* split, size_t index) {
  const bool text = options.style == Style::text;
  const std::string& prompt = text ? found.problem.text.prompt : found.problem.chars.prompt;
  const OrderedJson truth(found.problem.ground_truth);
  OrderedJson row;
  row["data_source"] = task.data_source;
  if (options.format == RowFormat::verl) {
    row["prompt"] = user_turn(prompt);
    row["ability"] = task.ability;
    row["reward_model"] = {{"style", "rule"}, {"ground_truth", truth}};
  } else {
    row["prompt"] = text ? user_turn(prompt) : OrderedJson(prompt);
    row["ground_truth"] = truth;
  }
  row["extra_info"] = {{"split", split}, {"index", index}, {"difficulty", found.level}};
  return row;
}

OrderedJson supervised_row(const MakeOptions& options, const Rendering& chars,
                           const Rendering& text) {
  OrderedJson row;
  if (options.style == Style::text) {
    row["prompt"] = user_turn(text.prompt);
    row["completion"] = OrderedJson::array({{{"role", "assistant"}, {"content", text.completion}}});
  } else {
    row["prompt"] = chars.prompt;
    row["completion"] = chars.completion;
  }
  return row;
}

OrderedJson claim_row(const MakeOptions& options, const Claim& claim) {
  OrderedJson row = supervised_row(options, claim.chars, claim.text);
  row["label"] = claim.right;
  return row;
}

Status write_claims(const MakeOptions& options, const std::vector<Found>& found,
                    const std::string& name) {
  std::string lines;
  for (const Found& f : found) lines += dump_json(claim_row(options, *f.problem.claim)) + '\n';
  return write_output(options.directory + "/" + name, lines);
}

Status write_split(const MakeOptions& options, const Task& task, Levels levels, const char* split,
                   int count) {
  if (count == 0) return ok_status();
  LS_ASSIGN_OR_RETURN(const auto found, generate(options, task, levels, split, count));
  std::string lines;
  for (size_t i = 0; i < found.size(); ++i) {
    const Problem& problem = found[i].problem;
    const bool supervised = std::string_view(split) == "sft";
    lines += dump_json(supervised ? supervised_row(options, problem.chars, problem.text)
                                  : prompt_row(options, task, found[i], split, i));
    lines += '\n';
  }
  LS_RETURN_IF_ERROR(write_output(options.directory + "/" + split + ".jsonl", lines));
  const std::string_view name = split;
  if (!found[0].problem.claim || name == "train") return ok_status();
  return write_claims(options, found, name == "val" ? "rm_val.jsonl" : "rm.jsonl");
}

}  // namespace

Status make_data(const MakeOptions& options) {
  const Task* task = find_task(options.task);
  if (task == nullptr) {
    return invalid_argument(
        fmt::format("unknown task '{}'; known are {}", options.task, task_names()));
  }
  if (options.train < 0 || options.val < 0 || options.sft < 0) {
    return invalid_argument("numbers of rows must not be negative");
  }
  LS_ASSIGN_OR_RETURN(const Levels levels, choose_levels(options, *task));
  LS_RETURN_IF_ERROR(make_directories(options.directory));
  LS_RETURN_IF_ERROR(write_split(options, *task, levels, "train", options.train));
  LS_RETURN_IF_ERROR(write_split(options, *task, levels, "val", options.val));
  LS_RETURN_IF_ERROR(write_split(options, *task, levels, "sft", options.sft));
  // No newline at the end: each character of the file becomes a token.
  if (options.style == Style::text) return ok_status();
  return write_output(options.directory + "/alphabet.txt", task->alphabet);
}

}  // namespace longshot::datasets

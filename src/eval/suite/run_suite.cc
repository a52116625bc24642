#include "eval/suite/run_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/os/fs.h"
#include "base/progress_line.h"
#include "base/rng.h"
#include "eval/suite/run_task.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;

// Depends on what the model reads and on the truths.
std::string key_of(const Items& items) {
  uint64_t key = 0;
  for (const Item& item : items.items) {
    const auto& tokens = item.prompt.tokens;
    const auto* bytes = reinterpret_cast<const char*>(tokens.data());
    key = hash_combine(key, hash64({bytes, tokens.size() * sizeof(data::TokenId)}));
    key = hash_combine(key, hash64(item.prompt.ground_truth));
  }
  return fmt::format("{:016x}", key);
}

// The content of suite.json.
OrderedJson settings_of(const Suite& suite, const SuiteRun& run) {
  return {{"suite", suite.name}, {"suite_checksum", fmt::format("{:016x}", checksum(suite.text))},
          {"model", run.model},  {"model_checksum", fmt::format("{:016x}", run.model_key)},
          {"seed", run.seed},    {"max_rows", run.max_rows}};
}

Status check_same(const OrderedJson& before, const OrderedJson& now, const std::string& where) {
  for (const auto& [key, value] : now.items()) {
    const OrderedJson old =
        before.is_object() && before.contains(key) ? before[key] : OrderedJson();
    if (old == value || key == "model") continue;
    return invalid_argument(
        fmt::format("{} was begun with another {} ({}, now {}); give another "
                    "--output",
                    where, key, dump_json(old), dump_json(value)));
  }
  return ok_status();
}

// Writes suite.json, or compares it with the one that exists and adds tasks that are new in it.
// Returns an object that has all these tasks as keys.
Result<OrderedJson> begin(const fs::path& folder, OrderedJson settings,
                          const std::vector<SuiteTask>& tasks) {
  LS_RETURN_IF_ERROR(make_directories(folder));
  const fs::path path = folder / "suite.json";
  OrderedJson rows = OrderedJson::object();
  if (fs::exists(path)) {
    LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
    LS_ASSIGN_OR_RETURN(const OrderedJson before, parse_ordered_json(text, path.string()));
    LS_RETURN_IF_ERROR(check_same(before, settings, folder.string()));
    if (before.contains("rows") && before["rows"].is_object()) rows = before["rows"];
  }
  for (const SuiteTask& one : tasks) {
    const std::string key = key_of(one.items);
    if (rows.contains(one.task.name))
      LS_RETURN_IF_ERROR(check_same(rows, {{one.task.name, key}}, folder.string() + ": rows"));
    rows[one.task.name] = key;
  }
  settings["rows"] = rows;
  LS_RETURN_IF_ERROR(write_file_atomic(path, dump_json(settings, 2) + "\n"));
  return rows;
}

using Entries = std::map<std::string, OrderedJson>;  // of results.json, by task

// The entries that an earlier call wrote. Those of tasks that are not in `begun` are of other runs.
Result<Entries> earlier_entries(const fs::path& folder, const OrderedJson& begun) {
  Entries entries;
  const fs::path path = folder / "results.json";
  if (!fs::exists(path)) return entries;
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  LS_ASSIGN_OR_RETURN(const OrderedJson json, parse_ordered_json(text, path.string()));
  if (!json.is_object() || !json.contains("tasks")) return entries;
  for (const OrderedJson& entry : json["tasks"]) {
    const auto name = entry.find("task");
    if (name != entry.end() && name->is_string() && begun.contains(name->get<std::string>()))
      entries[name->get<std::string>()] = entry;
  }
  return entries;
}

Status write_entries(const Suite& suite, const SuiteRun& run, const Entries& entries) {
  OrderedJson json = {{"suite", suite.name}, {"model", run.model}, {"tasks", OrderedJson::array()}};
  for (const Task& task : suite.tasks) {
    if (const auto entry = entries.find(task.name); entry != entries.end())
      json["tasks"].push_back(entry->second);
  }
  return write_file_atomic(run.output / "results.json", dump_json(json, 2) + "\n");
}

// Without a verdict a task has no figures, and something that its rewards need is broken.
Status check_judged(const std::vector<TaskFigures>& all) {
  constexpr size_t kLongest = 500;  // a reason may quote a whole answer
  for (const TaskFigures& f : all) {
    if (f.samples == 0 || f.errors < f.samples) continue;
    return invalid_argument(fmt::format(
        "task '{}': none of the {} samples could be judged: {}; the same command judges "
        "them again",
        f.name, f.samples, f.frequent_error.substr(0, kLongest)));
  }
  return ok_status();
}

std::vector<int> ks_of(const Task& task) {
  return {task.pass_at.begin(), task.pass_at.end()};
}

using Stage = std::unique_ptr<reward::RewardStage>;

Result<Stage> make_rewards(const Task& task, const SuiteRun& run) {
  if (task.kind == TaskKind::likelihood) return Stage();
  reward::RewardOptions options = run.reward;
  LS_ASSIGN_OR_RETURN(options.rewards, reward::parse_reward_list(task.reward, run.reward_types));
  return reward::RewardStage::create(options);
}

// Rewards that cannot be made are found before any task is run.
Result<std::vector<Stage>> make_all_rewards(const std::vector<SuiteTask>& tasks,
                                            const SuiteRun& run) {
  std::vector<Stage> stages;
  for (const SuiteTask& one : tasks) {
    auto stage = make_rewards(one.task, run);
    if (!stage.ok()) return stage.status().with_context("task '" + one.task.name + "'");
    stages.push_back(std::move(*stage));
  }
  return stages;
}

}  // namespace

Result<std::vector<SuiteTask>> load_suite(const Suite& suite, const std::vector<std::string>& only,
                                          const tokenizer::Tokenizer& tokenizer,
                                          const tokenizer::ChatTemplate& chat_template,
                                          int max_sequence, int max_rows) {
  std::vector<SuiteTask> out;
  for (const std::string& name : only) {
    const auto found = std::find_if(suite.tasks.begin(), suite.tasks.end(),
                                    [&](const Task& task) { return task.name == name; });
    if (found == suite.tasks.end()) return invalid_argument("the suite has no task '" + name + "'");
  }
  for (const Task& task : suite.tasks) {
    if (!only.empty() && std::find(only.begin(), only.end(), task.name) == only.end()) continue;
    auto items = load_items(task, tokenizer, chat_template, max_sequence, max_rows);
    if (!items.ok()) return items.status().with_context("task '" + task.name + "'");
    if (items->left_out > 0)
      log::warn("task '{}': {} rows are left out, because they do not fit {} tokens", task.name,
                items->left_out, max_sequence);
    out.push_back({task, std::move(*items)});
  }
  return out;
}

Result<std::vector<TaskFigures>> run_suite(rollout::Engine& engine, const Suite& suite,
                                           const std::vector<SuiteTask>& tasks,
                                           const SuiteRun& run) {
  LS_ASSIGN_OR_RETURN(const std::vector<Stage> stages, make_all_rewards(tasks, run));
  LS_ASSIGN_OR_RETURN(const OrderedJson begun, begin(run.output, settings_of(suite, run), tasks));
  LS_ASSIGN_OR_RETURN(Entries entries, earlier_entries(run.output, begun));
  std::vector<TaskFigures> all;
  ProgressLine progress;
  progress.start(0, static_cast<int64_t>(tasks.size()));
  for (size_t i = 0; i < tasks.size(); ++i) {
    const auto& [task, items] = tasks[i];
    LS_ASSIGN_OR_RETURN(TaskFile file, TaskFile::open(run.output / (task.name + ".jsonl")));
    TaskRun task_run{run.seed, run.batch, run.end_tokens, run.speculation, nullptr};
    task_run.on_progress = [&](size_t done, size_t total) {
      progress.update(static_cast<int64_t>(i), fmt::format("{} {} of {}", task.name, done, total));
    };
    LS_RETURN_IF_ERROR(run_task(engine, task, items.items, stages[i].get(), task_run, file));
    LS_ASSIGN_OR_RETURN(TaskFigures figures, figures_of(task.name, file.rows(), ks_of(task)));
    entries[task.name] = to_json(figures);
    progress.finish(static_cast<int64_t>(i),
                    figures.problems == 0
                        ? task.name + " not judged"
                        : fmt::format("{} accuracy {:.4f}", task.name, figures.accuracy));
    all.push_back(std::move(figures));
  }
  progress.clear();
  LS_RETURN_IF_ERROR(write_entries(suite, run, entries));
  LS_RETURN_IF_ERROR(check_judged(all));
  return all;
}

}  // namespace longshot::eval

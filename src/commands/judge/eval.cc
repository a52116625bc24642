// longshot eval: accuracy of a model on a file of problems.

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/os/machine.h"
#include "base/progress_line.h"
#include "base/run_log/run_log.h"
#include "commands/command.h"
#include "commands/judge/eval_suite.h"
#include "commands/judge/judge.h"
#include "commands/judge/result_files.h"
#include "commands/judge/reward_types.h"
#include "commands/key_flags.h"
#include "commands/model/inference.h"
#include "config/sections/data.h"
#include "config/sections/machine.h"
#include "config/sections/reward.h"
#include "config/sections/rollout.h"
#include "datasets/files.h"
#include "datasets/tokenize.h"
#include "eval/evaluate.h"
#include "eval/sample_records.h"
#include "inference/open_model.h"

namespace longshot::commands {
namespace {

struct Options {
  inference::ModelChoice model;
  inference::EngineChoice device;
  std::string output, samples;
  std::vector<std::string> files, rewards = {"auto"};
  datasets::ColumnMapping columns;
  eval::EvalOptions eval;
  int max_prompt_length = 0, max_concurrent = 256, max_problems = 0;
  config::RewardOptions reward;
  SuiteOptions suite;
  const CLI::Option* max_tokens = nullptr;
};

struct Loaded {
  model::ModelFiles files;  // without the weights, which the engine owns
  std::vector<data::Prompt> prompts;
  std::unique_ptr<rollout::Engine> engine;
  std::unique_ptr<reward::RewardStage> rewards;
};

// Reads the problems, and settles the lengths that the user has not given.
Status load_problems(Options& o, Loaded& l) {
  const model::ModelConfig& config = l.files.config;
  int& response = o.eval.engine.sampling.max_response_length;
  const bool is_default = o.max_tokens->count() == 0;
  if (o.max_prompt_length == 0) {
    o.max_prompt_length = inference::prompt_room(config, response, is_default);
    if (o.max_prompt_length <= 0) {
      return invalid_argument(
          fmt::format("--max-tokens {} leaves no room for a prompt: {} has {} positions", response,
                      o.model.path, model::context_length(config)));
    }
  }
  LS_ASSIGN_OR_RETURN(l.prompts, datasets::load_prompts(o.files, o.columns, o.max_prompt_length,
                                                        *l.files.tokenizer, l.files.chat_template));
  if (o.max_problems > 0 && l.prompts.size() > static_cast<size_t>(o.max_problems)) {
    l.prompts.resize(static_cast<size_t>(o.max_problems));
  }
  if (is_default && o.max_prompt_length > model::context_length(config) - response) {
    size_t longest = 0;
    for (const data::Prompt& prompt : l.prompts) longest = std::max(longest, prompt.tokens.size());
    o.max_prompt_length = static_cast<int>(longest);
    inference::fit_default_response(config, o.max_prompt_length, response);
  }
  return ok_status();
}

Result<Loaded> load(Options& o) {
  Loaded l;
  LS_ASSIGN_OR_RETURN(l.files, inference::open_model(o.model));
  inference::warn_of_date(l.files.chat_template);
  const model::ModelConfig& config = l.files.config;
  rollout::SamplingOptions& sampling = o.eval.engine.sampling;
  LS_RETURN_IF_ERROR(load_problems(o, l));
  LS_ASSIGN_OR_RETURN(const rollout::RunnerLimits limits,
                      inference::limits_for(config, o.max_concurrent, o.max_prompt_length,
                                            sampling.max_response_length));
  LS_ASSIGN_OR_RETURN(l.engine, inference::open_engine(o.model, o.device, l.files, limits));
  const auto& ends = config.eos_token_ids;
  sampling.stop_tokens.insert(sampling.stop_tokens.end(), ends.begin(), ends.end());
  reward::RewardOptions rewards = o.reward.stage;
  rewards.threads = o.device.threads > 0 ? o.device.threads : usable_cores(inspect_machine());
  rewards.repetition_penalty = 0;
  LS_ASSIGN_OR_RETURN(rewards.rewards, parse_rewards(o.rewards));
  LS_ASSIGN_OR_RETURN(l.rewards, reward::RewardStage::create(rewards));
  return l;
}

// Shortens an error message, which may quote a whole answer.
std::string shortened(const std::string& text) {
  constexpr size_t kLongest = 500;
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

void print_summary(std::FILE* out, const eval::EvalResult& r, const Options& o) {
  fmt::print(out, "problems           {} ({} samples, {} not judged)\n", r.problems, r.samples,
             r.errors);
  if (r.errors > 0) fmt::print(out, "not judged because {}\n", shortened(r.frequent_error));
  fmt::print(out, "pass@1             {:.4f}   95 % interval {:.4f} to {:.4f}\n", r.accuracy, r.low,
             r.high);
  for (const auto& [k, value] : r.pass_at_k) {
    if (k > 1) fmt::print(out, "{:<18} {:.4f}\n", fmt::format("pass@{}", k), value);
  }
  if (o.eval.n > 1) fmt::print(out, "majority vote      {:.4f}\n", r.majority_vote);
  fmt::print(out, "mean score         {:.4f}\n", r.score_mean);
  if (r.accuracy_by_source.size() > 1) {
    for (const auto& [source, value] : r.accuracy_by_source)
      fmt::print(out, "  {:<16} {:.4f}\n", source.empty() ? "(no source)" : source, value);
  }
  fmt::print(out, "response length    {:.1f} tokens, {:.1f} % cut at {}\n", r.mean_response_length,
             100 * r.cut_share, o.eval.engine.sampling.max_response_length);
  fmt::print(out, "speed              {:.0f} tokens/s, {:.1f} s in all\n", r.tokens_per_second,
             r.seconds);
}

std::string sample_lines(const std::vector<data::Group>& groups,
                         const tokenizer::Tokenizer& tokenizer) {
  std::string text;
  for (const SampleRecord& record : eval::sample_records(groups, -1, tokenizer))
    text += sample_line(0, record) + "\n";
  return text;
}

OrderedJson figures(const eval::EvalResult& result, const Options& o) {
  OrderedJson json = eval::to_json(result);
  json["model"] = o.model.path;
  json["n"] = o.eval.n;
  json["temperature"] = o.eval.engine.sampling.temperature;
  return json;
}

Status check(const Options& o) {
  LS_RETURN_IF_ERROR(
      datasets::check_system_prompt(o.columns.system_prompt, o.columns.apply_chat_template));
  LS_RETURN_IF_ERROR(datasets::check_outputs(o.files, {o.output, o.samples}));
  if (o.eval.n > 1 && o.eval.engine.sampling.temperature == 0)
    return invalid_argument(
        "--temperature 0 gives the same sample again: use --n 1, or give --temperature");
  for (int k : o.eval.ks) {
    if (k < 1 || k > o.eval.n)
      return invalid_argument(fmt::format("--pass-at {}: needs 1 <= k <= --n", k));
  }
  return ok_status();
}

Status run_suite(Options& o) {
  SuiteOptions& s = o.suite;
  s.output = o.output;
  s.model = o.model;
  s.device = o.device;
  s.seed = o.eval.seed;
  s.max_problems = o.max_problems;
  s.max_concurrent = o.max_concurrent;
  s.speculation = o.eval.engine.speculation;
  s.reward = o.reward.stage;
  return run_eval_suite(s);
}

Status run(Options& o) {
  if (!o.suite.file.empty()) return run_suite(o);
  if (o.files.empty()) return invalid_argument("give --data FILE or --suite FILE");
  LS_RETURN_IF_ERROR(check(o));
  LS_ASSIGN_OR_RETURN(ResultFiles files, ResultFiles::open(o.output, o.samples));
  LS_ASSIGN_OR_RETURN(Loaded l, load(o));
  ProgressLine progress;
  progress.start(0, 1);
  LS_ASSIGN_OR_RETURN(
      const eval::Evaluation evaluation,
      eval::evaluate(*l.engine, l.prompts, *l.rewards, o.eval, [&](const rollout::Progress& p) {
        progress.update(0, eval::progress_text(p));
      }));
  progress.clear();
  const eval::EvalResult& result = evaluation.result;
  LS_RETURN_IF_ERROR(
      files.write_rows([&] { return sample_lines(evaluation.groups, *l.files.tokenizer); }));
  if (result.errors == result.samples) {
    return invalid_argument(fmt::format("none of the {} samples could be judged: {}",
                                        result.samples, shortened(result.frequent_error)));
  }
  print_summary(files.summary(), result, o);
  return files.write_figures(figures(result, o));
}

Settings keys_of(Options& o) {
  Settings keys;
  config::bind_machine(keys, o.device.device, o.device.threads);
  config::bind_columns(keys, o.columns);
  config::bind_response_length(keys, o.eval.engine.sampling.max_response_length);
  config::bind_sampling(keys, o.eval.engine.sampling, config::Greedy::allowed);
  config::bind_speculation(keys, o.eval.engine.speculation);
  config::bind_concurrency(keys, o.max_concurrent);
  config::bind(keys, o.reward, reward_types());
  return keys;
}

void add_sampling_options(CLI::App& command, Options& o, const Settings& keys) {
  command.add_option("--n", o.eval.n, "samples per problem")->check(CLI::PositiveNumber);
  command.add_option("--pass-at", o.eval.ks, "also report pass@K for these K")->delimiter(',');
  add_key_flags(command, keys,
                {{"--temperature", "rollout.temperature"},
                 {"--top-p", "rollout.top_p"},
                 {"--top-k", "rollout.top_k"},
                 {"--min-p", "rollout.min_p"},
                 {"--max-tokens", "data.max_response_length"},
                 {"--stop", "rollout.stop"}});
  o.max_tokens = command.get_option("--max-tokens");
  command.add_option("--seed", o.eval.seed, "of the samples");
}

void add_data_options(CLI::App& command, Options& o, const Settings& keys) {
  command.add_option("--data", o.files, "JSONL or parquet files of problems; - is stdin");
  command
      .add_option(
          "--reward", o.rewards,
          "reward functions: NAME, NAME:WEIGHT or a JSON object with options; docs/rewards.md")
      ->capture_default_str();
  command.add_flag(
      "--raw", [&o](int64_t) { o.columns.apply_chat_template = false; },
      "prompts that are texts are given to the model as they are");
  add_key_flags(command, keys,
                {{"--reward-timeout", "reward.timeout"},
                 {"--prompt-key", "data.prompt_key"},
                 {"--ground-truth-key", "data.ground_truth_key"},
                 {"--data-source-key", "data.data_source_key"},
                 {"--system", "data.system_prompt"}});
  command.add_option("--max-prompt-length", o.max_prompt_length,
                     "tokens; longer prompts are left out; 0 = what the model has room for");
  command.add_option("--max-problems", o.max_problems, "first problems used, 0 = all");
}

// What a suite sets for each of its tasks is no flag beside it.
void add_suite_options(CLI::App& command, Options& o) {
  CLI::Option* suite = command.add_option("--suite", o.suite.file,
                                          "TOML file of benchmark tasks; docs/evaluation.md");
  command.add_option("--task", o.suite.tasks, "tasks of the suite to run; default: all")
      ->needs(suite);
  command.add_flag("--dry-run", o.suite.dry_run, "print rows and tokens of each task and stop")
      ->needs(suite);
  for (const char* flag :
       {"--data", "--reward", "--raw", "--prompt-key", "--ground-truth-key", "--data-source-key",
        "--system", "--max-prompt-length", "--n", "--pass-at", "--temperature", "--top-p",
        "--top-k", "--min-p", "--max-tokens", "--stop", "--samples"}) {
    suite->excludes(command.get_option(flag));
  }
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  o->eval.engine.sampling.temperature = 0;
  const Settings keys = keys_of(*o);
  CLI::App* command = app.add_subcommand(
      "eval", "Measure accuracy on held-out problems: pass@1, pass@k, majority vote");
  command->add_option("--model", o->model.path, kModelHelp)->required();
  add_data_options(*command, *o, keys);
  add_chat_template_options(*command, o->model.chat_template, o->model.chat_template_args);
  add_sampling_options(*command, *o, keys);
  add_key_flags(*command, keys,
                {{"--max-concurrent", "rollout.max_concurrent"},
                 {"--threads", "trainer.threads"},
                 {"--device", "trainer.device"},
                 {"--speculation", "rollout.speculation"}});
  command->add_option("--output", o->output,
                      "write the figures as JSON; with --suite the folder of the results");
  command->add_option("--samples", o->samples, "write every sample with its verdict as JSONL");
  add_suite_options(*command, *o);
  command->callback([o, &exit_code] { exit_code = finish([&] { return run(*o); }); });
}

}  // namespace longshot::commands

// longshot eval: accuracy of a model on a file of problems.

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "base/os/machine.h"
#include "base/progress_line.h"
#include "base/run_log/run_log.h"
#include "commands/command.h"
#include "commands/judge/judge.h"
#include "commands/judge/result_files.h"
#include "commands/judge/reward_types.h"
#include "commands/model/inference.h"
#include "datasets/tokenize.h"
#include "eval/evaluate.h"
#include "eval/sample_records.h"
#include "inference/open_model.h"

namespace longshot::commands {
namespace {

struct Options {
  inference::ModelChoice model;
  inference::EngineChoice device;
  std::string output, samples, speculation = "off";
  std::vector<std::string> files, rewards = {"auto"}, stop;
  datasets::ColumnMapping columns;
  eval::EvalOptions eval;
  int max_prompt_length = 0, max_concurrent = 256, max_problems = 0;
  double reward_timeout = 10;
};

struct Loaded {
  model::ModelFiles files;  // without the weights, which the engine owns
  std::vector<data::Prompt> prompts;
  std::unique_ptr<rollout::Engine> engine;
  std::unique_ptr<reward::RewardStage> rewards;
};

// Parses NAME, NAME:WEIGHT, or a JSON object with options.
Result<Json> reward_list(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) {
    if (text.empty() || text[0] != '{') {
      list.push_back(text);
      continue;
    }
    LS_ASSIGN_OR_RETURN(Json object, parse_json(text, "--reward"));
    list.push_back(std::move(object));
  }
  return list;
}

Result<Loaded> load(Options& o) {
  Loaded l;
  LS_ASSIGN_OR_RETURN(l.files, inference::open_model(o.model));
  inference::warn_of_date(l.files.chat_template);
  const model::ModelConfig& config = l.files.config;
  rollout::SamplingOptions& sampling = o.eval.engine.sampling;
  if (o.max_prompt_length == 0)
    o.max_prompt_length = model::context_length(config) - sampling.max_response_length;
  LS_ASSIGN_OR_RETURN(l.prompts, datasets::load_prompts(o.files, o.columns, o.max_prompt_length,
                                                        *l.files.tokenizer, l.files.chat_template));
  if (o.max_problems > 0 && l.prompts.size() > static_cast<size_t>(o.max_problems)) {
    l.prompts.resize(static_cast<size_t>(o.max_problems));
  }
  LS_ASSIGN_OR_RETURN(const rollout::RunnerLimits limits,
                      inference::limits_for(config, o.max_concurrent, o.max_prompt_length,
                                            sampling.max_response_length));
  LS_ASSIGN_OR_RETURN(l.engine, inference::open_engine(o.model, o.device, l.files, limits));
  const auto& ends = config.eos_token_ids;
  sampling.stop_tokens.insert(sampling.stop_tokens.end(), ends.begin(), ends.end());
  reward::RewardOptions rewards;
  rewards.timeout_seconds = o.reward_timeout;
  rewards.threads = o.device.threads > 0 ? o.device.threads : usable_cores(inspect_machine());
  rewards.repetition_penalty = 0;
  LS_ASSIGN_OR_RETURN(const Json list, reward_list(o.rewards));
  LS_ASSIGN_OR_RETURN(rewards.rewards, reward::parse_reward_list(list, reward_types()));
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

std::string sample_lines(const std::vector<data::Group>& groups) {
  std::string text;
  for (const SampleRecord& record : eval::sample_records(groups, -1))
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
  for (int k : o.eval.ks) {
    if (k < 1 || k > o.eval.n)
      return invalid_argument(fmt::format("--pass-at {}: needs 1 <= k <= --n", k));
  }
  return ok_status();
}

Status run(Options& o) {
  LS_RETURN_IF_ERROR(check(o));
  LS_ASSIGN_OR_RETURN(ResultFiles files, ResultFiles::open(o.output, o.samples));
  LS_ASSIGN_OR_RETURN(Loaded l, load(o));
  ProgressLine progress;
  progress.start(0, 1);
  o.eval.engine.sampling.stop_strings = o.stop;
  o.eval.engine.speculate = o.speculation == "ngram";
  LS_ASSIGN_OR_RETURN(
      const eval::Evaluation evaluation,
      eval::evaluate(*l.engine, l.prompts, *l.rewards, o.eval, [&](const rollout::Progress& p) {
        progress.update(0, eval::progress_text(p));
      }));
  progress.clear();
  const eval::EvalResult& result = evaluation.result;
  LS_RETURN_IF_ERROR(files.write_rows([&] { return sample_lines(evaluation.groups); }));
  if (result.errors == result.samples) {
    return invalid_argument(fmt::format("none of the {} samples could be judged: {}",
                                        result.samples, shortened(result.frequent_error)));
  }
  print_summary(files.summary(), result, o);
  return files.write_figures(figures(result, o));
}

void add_sampling_options(CLI::App& command, Options& o) {
  rollout::SamplingOptions& s = o.eval.engine.sampling;
  s.temperature = 0;
  command.add_option("--n", o.eval.n, "samples per problem")->check(CLI::PositiveNumber);
  command.add_option("--pass-at", o.eval.ks, "also report pass@K for these K")->delimiter(',');
  command.add_option("--temperature", s.temperature, "0 = greedy")->check(CLI::NonNegativeNumber);
  command.add_option("--top-p", s.top_p, "nucleus, 1 = off")->check(CLI::Range(1e-6, 1.0));
  command.add_option("--top-k", s.top_k, "0 = off")->check(CLI::NonNegativeNumber);
  command.add_option("--min-p", s.min_p, "0 = off")->check(CLI::Range(0.0, 1.0));
  command.add_option("--max-tokens", s.max_response_length, "longest response")
      ->check(CLI::PositiveNumber);
  command.add_option("--stop", o.stop, "text that ends a response");
  command.add_option("--seed", o.eval.seed, "of the samples");
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "eval", "Measure accuracy on held-out problems: pass@1, pass@k, majority vote");
  command->add_option("--model", o->model.path, "Hugging Face directory or .gguf")->required();
  command->add_option("--data", o->files, "JSONL or parquet files of problems; - is stdin")
      ->required();
  command
      ->add_option(
          "--reward", o->rewards,
          "reward functions: NAME, NAME:WEIGHT or a JSON object with options; docs/rewards.md")
      ->capture_default_str();
  command->add_option("--reward-timeout", o->reward_timeout, "seconds per judgement");
  command->add_option("--chat-template", o->model.chat_template,
                      "used instead of the model's own: a .jinja file, a named template, a family");
  command->add_option("--chat-template-args", o->model.chat_template_args,
                      "arguments of the chat template as JSON: {\"enable_thinking\": false}");
  command->add_flag(
      "--raw", [o](int64_t) { o->columns.apply_chat_template = false; },
      "prompts that are texts are given to the model as they are");
  command->add_option("--prompt-key", o->columns.prompt, "column of the prompt")
      ->capture_default_str();
  command->add_option("--ground-truth-key", o->columns.ground_truth,
                      "column of the answer; without it those of docs/formats.md");
  command->add_option("--data-source-key", o->columns.data_source, "column of the problem's source")
      ->capture_default_str();
  command->add_option("--system", o->columns.system_prompt, "system message put before every chat");
  command->add_option("--max-prompt-length", o->max_prompt_length,
                      "tokens; longer prompts are left out; 0 = what the model has room for");
  command->add_option("--max-problems", o->max_problems, "first problems used, 0 = all");
  command->add_option("--max-concurrent", o->max_concurrent, "samples in flight")
      ->check(CLI::PositiveNumber);
  add_sampling_options(*command, *o);
  command->add_option("--threads", o->device.threads, "0 = all usable cores");
  command->add_option("--device", o->device.device, "cpu, cuda, cuda:1")->capture_default_str();
  add_speculation_option(*command, o->speculation);
  command->add_option("--output", o->output, "write the figures as JSON");
  command->add_option("--samples", o->samples, "write every sample with its verdict as JSONL");
  command->callback([o, &exit_code] { exit_code = finish([&] { return run(*o); }); });
}

}  // namespace longshot::commands

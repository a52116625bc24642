// longshot sample: prompts x n -> judged samples.

#include <fmt/format.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/folder_lock.h"
#include "base/os/fs.h"
#include "base/os/machine.h"
#include "base/os/output.h"
#include "base/progress_line.h"
#include "base/rng.h"
#include "base/text/text.h"
#include "commands/command.h"
#include "commands/data/data.h"
#include "commands/data/sample_model.h"
#include "commands/data/sample_reporter.h"
#include "commands/judge/reward_types.h"
#include "commands/key_flags.h"
#include "commands/model/inference.h"
#include "config/sections/data.h"
#include "config/sections/reward.h"
#include "config/sections/rollout.h"
#include "curate/samples/asks.h"
#include "curate/samples/sample_run.h"
#include "curate/samples/sample_summary.h"
#include "curate/samples/server_source.h"
#include "datasets/files.h"

namespace longshot::commands {
namespace {

struct Options {
  curate::AskOptions ask;
  std::string output;
  InferenceOptions inference;
  LocalModelOptions local;
  curate::ServerSourceOptions server;
  std::string tokenizer;  // of a server's model
  std::vector<std::string> rewards = {"auto"};
  bool judge = true, dry_run = false;
  config::RewardOptions reward;
  curate::SampleRunOptions run;
};

bool uses_server(const Options& o) {
  return !o.server.urls.empty();
}

Status check(const Options& o) {
  if (!uses_server(o) && o.inference.model.path.empty())
    return invalid_argument("give --model DIR, or --url http://.../v1 of a server");
  if (o.run.until_correct > o.run.n) return invalid_argument("--until-correct must be at most --n");
  if (o.run.until_correct > 0 && !o.judge)
    return invalid_argument("--until-correct needs judgements; leave out --no-judge");
  const bool same = o.run.n > 1 && o.inference.sampling.temperature == 0;
  if (same) return invalid_argument("--temperature 0 gives the same sample again: use --n 1");
  const bool tokens = o.server.api == net::CompletionApi::completions;
  if (!o.tokenizer.empty() && !tokens)
    return invalid_argument("--tokenizer needs --api completions");
  const bool wraps = o.ask.columns.apply_chat_template;
  if (uses_server(o) && !tokens && !wraps)
    return invalid_argument(
        "--raw needs --api completions, because --api chat turns every prompt into a message");
  return datasets::check_system_prompt(o.inference.system, wraps);
}

// All settings that a sample depends on, except for what the content of a prompt shows. The address
// of a server is left out, because it may move.
Result<OrderedJson> settings_of(const Options& o, const curate::AskTexts& texts) {
  const auto& s = o.inference.sampling;
  OrderedJson json = {{"model", o.inference.model.path},
                      {"seed", o.inference.seed},
                      {"temperature", s.temperature},
                      {"top_p", s.top_p},
                      {"top_k", s.top_k},
                      {"min_p", s.min_p},
                      {"max_tokens", s.max_response_length},
                      {"stop", s.stop_strings},
                      {"system", o.ask.system},
                      {"template", texts.template_text},
                      {"examples", o.ask.examples},
                      {"token_ids", o.run.token_ids}};
  std::string examples;
  for (const auto& example : texts.examples)
    examples += example.problem + '\0' + example.solution + '\0';
  if (!examples.empty()) json["example_rows"] = fmt::format("{:016x}", hash64(examples));
  json["rewards"] = o.judge ? OrderedJson(o.rewards) : OrderedJson();
  if (uses_server(o)) {
    json["api"] = name_of(o.server.api);
    return json;
  }
  LS_RETURN_IF_ERROR(add_model_settings(o.inference, o.local, json));
  return json;
}

void finish_server_options(Options& o) {
  const auto& s = o.inference.sampling;
  o.server.model = o.inference.model.path;
  o.server.max_tokens = s.max_response_length;
  o.server.temperature = s.temperature;
  if (s.top_p < 1) o.server.top_p = s.top_p;
  if (s.top_k > 0) o.server.top_k = s.top_k;
  if (s.min_p > 0) o.server.min_p = s.min_p;
  o.server.stop = s.stop_strings;
  o.server.seed = o.inference.seed;
  o.server.token_ids = o.run.token_ids;
  const char* key = std::getenv("OPENAI_API_KEY");
  if (o.server.api_key.empty() && key != nullptr) o.server.api_key = key;
}

Status check_completions(const std::vector<curate::Ask>& asks) {
  for (const auto& ask : asks) {
    if (ask.asked.tokens.empty() && !ask.asked.messages.empty())
      return invalid_argument("prompt " + ask.prompt.id +
                              " is a chat: --api completions needs --tokenizer DIR to render it");
  }
  return ok_status();
}

Result<std::unique_ptr<curate::SampleSource>> open_server(Options& o,
                                                          std::vector<curate::Ask>& asks) {
  finish_server_options(o);
  if (o.server.api == net::CompletionApi::completions) {
    if (!o.tokenizer.empty()) LS_RETURN_IF_ERROR(tokenize_asks(o.tokenizer, o.ask, asks));
    LS_RETURN_IF_ERROR(check_completions(asks));
  }
  return curate::make_server_source(o.server);
}

Result<std::unique_ptr<reward::RewardStage>> open_rewards(Options& o) {
  if (!o.judge) return std::unique_ptr<reward::RewardStage>();
  reward::RewardOptions rewards = o.reward.stage;
  rewards.repetition_penalty = 0;
  LS_ASSIGN_OR_RETURN(rewards.rewards, parse_rewards(o.rewards));
  return reward::RewardStage::create(rewards);
}

// Enough prompts at once to keep all samples in flight busy, at most 512 threads.
int prompts_at_once(const Options& o, int samples) {
  const int wave = o.run.until_correct > 0 ? o.run.until_correct : o.run.n;
  return std::clamp(2 * ((samples + wave - 1) / wave), 2, 512);
}

// Tokens per second by the last line of the folder's metrics; 0 if there is none.
double measured_rate(const std::string& folder) {
  const auto text = read_file(std::filesystem::path(folder) / "metrics.jsonl");
  if (!text.ok()) return 0;
  const auto json = parse_json(last_line(*text), "metrics.jsonl");
  if (!json.ok() || !json->is_object()) return 0;
  return number_of(json->value("rollout/tokens_per_second", Json())).value_or(0);
}

void print_plan(const Options& o, const std::vector<curate::Ask>& asks, const std::string& model) {
  const auto prompts = static_cast<int64_t>(asks.size());
  const int64_t samples = prompts * o.run.n;
  const int64_t most = samples * o.inference.sampling.max_response_length;
  const int64_t budget = o.run.token_budget;
  fmt::print("prompts          {}\nsamples          at most {}\n", with_commas(prompts),
             with_commas(samples));
  fmt::print("response tokens  at most {}\n",
             with_commas(budget > 0 ? std::min(most, budget) : most));
  fmt::print("{}\n", model);
  if (const double rate = measured_rate(o.output); rate > 0)
    fmt::print(
        "time             at most {} at the {:.0f} tokens/s of the run so far\n",
        format_duration(static_cast<double>(budget > 0 ? std::min(most, budget) : most) / rate),
        rate);
  fmt::print("first request:\n{}\n", asks[0].asked.messages.empty()
                                         ? asks[0].asked.text
                                         : dump_json(curate::prompt_json(asks[0].asked)));
}

Status write_summary(const Options& o, const curate::SampleSummary& summary,
                     const curate::SampleResult& result, size_t asked) {
  const std::string path = (std::filesystem::path(o.output) / "summary.json").string();
  LS_RETURN_IF_ERROR(write_output(path, dump_json(summary.to_json(), 1) + "\n"));
  fmt::print("{}", summary.to_text());
  if (result.rows < asked) {
    fmt::print("--token-budget   spent: {} of {} prompts{}\n", result.rows, asked,
               result.beyond == 0 ? ""
                                  : fmt::format("; {} more are in the journal for a larger budget",
                                                result.beyond));
  }
  fmt::print("{}/samples.jsonl and {}\n", o.output, path);
  if (result.all_errors == 0) return ok_status();
  const std::string failed =
      fmt::format("{} of {} samples have failed; the same command tries them again",
                  result.all_errors, result.all_samples);
  if (result.all_errors == result.all_samples) return unavailable("all " + failed);
  log::warn("{}", failed);
  return ok_status();
}

Status sample(Options& o, std::vector<curate::Ask>& asks, const OrderedJson& settings,
              curate::SampleSource& source) {
  LS_ASSIGN_OR_RETURN(const auto rewards, open_rewards(o));
  LS_ASSIGN_OR_RETURN(auto journal, curate::SampleJournal::open(o.output, settings));
  SampleReporter reporter(o.output, asks.size());
  curate::SampleSummary summary;
  const auto result = curate::run_samples(
      asks, o.run, source, rewards.get(), journal,
      [&](const curate::SampleProgress& progress) { reporter.add(progress); },
      [&](const curate::JudgedPrompt& row) { summary.add(row); });
  reporter.clear();
  LS_RETURN_IF_ERROR(result.status());
  return write_summary(o, summary, *result, asks.size());
}

Status run_with_server(Options& o, std::vector<curate::Ask>& asks, const OrderedJson& settings) {
  LS_ASSIGN_OR_RETURN(const auto source, open_server(o, asks));
  if (o.dry_run) {
    print_plan(o, asks,
               fmt::format("server           {} requests at a time, {} replicas",
                           o.server.concurrency, o.server.urls.size()));
    return ok_status();
  }
  o.run.prompts_at_once = prompts_at_once(o, o.server.concurrency);
  LS_ASSIGN_OR_RETURN(const auto lock, FolderLock::take(o.output));
  return sample(o, asks, settings, *source);
}

Status run_with_model(Options& o, std::vector<curate::Ask>& asks, OrderedJson settings) {
  LS_ASSIGN_OR_RETURN(LocalModel model, read_local_model(o.inference, o.local, o.ask, asks));
  settings["max_tokens"] = o.inference.sampling.max_response_length;
  if (o.dry_run) {
    print_plan(o, asks, describe(model, o.inference));
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(const auto lock, FolderLock::take(o.output));
  o.run.prompts_at_once = prompts_at_once(o, o.local.max_concurrent);
  LS_ASSIGN_OR_RETURN(const auto source,
                      open_local_source(o.inference, model, o.run.prompts_at_once * o.run.n));
  return sample(o, asks, settings, *source);
}

Status run(Options& o) {
  LS_RETURN_IF_ERROR(check(o));
  LS_RETURN_IF_ERROR(datasets::check_outputs(o.ask.files, {o.output + "/samples.jsonl"}));
  o.ask.system = o.inference.system;
  o.ask.seed = o.inference.seed;
  LS_ASSIGN_OR_RETURN(const auto texts, curate::read_ask_texts(o.ask));
  LS_ASSIGN_OR_RETURN(const auto settings, settings_of(o, texts));
  LS_ASSIGN_OR_RETURN(auto asks, curate::read_asks(o.ask, texts));
  return uses_server(o) ? run_with_server(o, asks, settings) : run_with_model(o, asks, settings);
}

void add_prompt_options(CLI::App& command, Options& o, const Settings& keys) {
  add_key_flags(command, keys,
                {{"--prompt-key", "data.prompt_key"},
                 {"--ground-truth-key", "data.ground_truth_key"},
                 {"--data-source-key", "data.data_source_key"}});
  command.add_flag(
      "--raw", [&o](int64_t) { o.ask.columns.apply_chat_template = false; },
      "prompts that are texts are given to the model as they are");
  command.add_option("--template", o.ask.template_path,
                     "instruction file around each problem, with {problem} and perhaps {examples}; "
                     "configs/prompts/ has some");
  CLI::Option* examples =
      command.add_option("--examples", o.ask.example_files, "solved rows to show as {examples}");
  examples->expected(1)->take_all();
  command.add_option("--shots", o.ask.examples, "solved rows shown with each problem")
      ->check(CLI::Range(1, 1000))
      ->needs(examples)
      ->default_val(4);
  command.add_option("--from", o.ask.from, "rows left out at the beginning")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--max-problems", o.ask.max_problems, "rows used after them, 0 = all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_run_options(CLI::App& command, Options& o) {
  command.add_option("--n", o.run.n, "samples of a prompt")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command
      .add_option("--until-correct", o.run.until_correct,
                  "end a prompt with its K-th correct sample; 0 = never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--token-budget", o.run.token_budget,
                  "begin prompts until those before have this many response tokens; 0 = no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--max-errors", o.run.max_errors,
                  "end the run after this many failed samples in a row, of which a prompt "
                  "counts for a quarter at most; 0 = never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_flag("--token-ids", o.run.token_ids, "write token ids and log-probabilities");
  command.add_flag("--dry-run", o.dry_run, "print what would be done and the first request");
}

void add_judge_options(CLI::App& command, Options& o, const Settings& keys) {
  CLI::Option* rewards =
      command
          .add_option("--reward", o.rewards,
                      "reward functions: NAME, NAME:WEIGHT or a JSON object with options; "
                      "docs/rewards.md")
          ->capture_default_str();
  command
      .add_flag(
          "--no-judge", [&o](int64_t) { o.judge = false; }, "write samples without verdicts")
      ->excludes(rewards);
  add_key_flags(command, keys,
                {{"--reward-timeout", "reward.timeout"}, {"--reward-threads", "reward.threads"}});
}

void add_server_options(CLI::App& command, Options& o) {
  CLI::Option* url = command.add_option(
      "--url", o.server.urls,
      "a server with OpenAI's API, such as http://127.0.0.1:8000/v1, in place of a local model; "
      "several times for replicas; --model is its name of the model");
  url->expected(1)->take_all();
  for (const char* own : {"--threads", "--device", "--dtype", "--kv-dtype", "--chat-template",
                          "--chat-template-args", "--max-concurrent", "--stop-token"})
    command.get_option(own)->excludes(url);
  Settings keys;
  keys.add("api", &o.server.api, "route of the server");
  add_key_flags(command, keys, {{"--api", "api"}});
  command
      .add_option(
          "--tokenizer", o.tokenizer,
          fmt::format("model whose template renders chats for --api completions: {}", kModelHelp))
      ->needs(url);
  command.add_option("--api-key", o.server.api_key, "its key; default: $OPENAI_API_KEY")
      ->needs(url);
  command.add_option("--concurrency", o.server.concurrency, "requests at a time")
      ->check(CLI::Range(1, 1024))
      ->needs(url)
      ->capture_default_str();
  command.add_option("--ask-timeout", o.server.timeout_seconds, "seconds for one response")
      ->check(CLI::PositiveNumber)
      ->needs(url)
      ->capture_default_str();
  command
      .add_option("--ask-retries", o.server.retries,
                  "after a failure of all replicas, 1, 2, 4, ... seconds later")
      ->check(CLI::Range(0, 100))
      ->needs(url)
      ->capture_default_str();
}

}  // namespace

void add_sample(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  o->reward.stage.threads = usable_cores(inspect_machine());
  Settings keys;
  config::bind_columns(keys, o->ask.columns);
  config::bind(keys, o->reward, reward_types());
  CLI::App* command =
      app.add_subcommand("sample", "Sample n responses to each prompt and judge them");
  command->footer(
      "The same command continues where it was stopped; docs/sample.md. `longshot select` makes "
      "training rows of the samples.");
  command->add_option("data", o->ask.files, "JSONL or parquet files of problems")->required();
  command
      ->add_option("--out", o->output,
                   "folder for samples.jsonl, summary.json, metrics.jsonl, journal.jsonl")
      ->required();
  add_inference_options(*command, o->inference);
  command->get_option("--model")->required(false);
  // The engine thread does not speculate.
  command->remove_option(command->get_option("--speculation"));
  add_local_options(*command, o->local);
  add_prompt_options(*command, *o, keys);
  add_run_options(*command, *o);
  add_judge_options(*command, *o, keys);
  add_server_options(*command, *o);
  command->callback([o, &exit_code] { exit_code = finish([&] { return run(*o); }); });
}

}  // namespace longshot::commands

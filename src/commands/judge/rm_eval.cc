// longshot rm-eval: measures how well a reward model judges rows with known labels.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/os/clock.h"
#include "commands/command.h"
#include "commands/judge/judge.h"
#include "commands/judge/result_files.h"
#include "commands/key_flags.h"
#include "config/sections/data.h"
#include "config/sections/machine.h"
#include "config/sections/model.h"
#include "config/sections/rollout.h"
#include "datasets/files.h"
#include "datasets/preference.h"
#include "eval/judgements.h"
#include "eval/reward_models.h"
#include "reward/judge/judge.h"

namespace longshot::commands {
namespace {

struct Options {
  eval::JudgeOptions judge;
  std::vector<std::string> files;
  // Options given on the command line that apply only to some models.
  std::vector<std::string> given;
  std::string output, judgements;
};

OrderedJson report(const Options& o, const char* kind, const eval::JudgeOutcome& outcome,
                   size_t responses, double seconds) {
  OrderedJson json;
  json["model"] =
      o.judge.urls.empty() ? o.judge.model.path : fmt::format("{}", fmt::join(o.judge.urls, ", "));
  json["kind"] = kind;
  json["responses"] = responses;
  json["malformed"] = outcome.malformed;
  json["failed"] = outcome.failed;
  json["error_rate"] =
      static_cast<double>(outcome.malformed + outcome.failed) / static_cast<double>(responses);
  if (!outcome.judgements.empty()) {
    const OrderedJson figures = eval::to_json(eval::summarize(outcome.judgements));
    for (const auto& [key, value] : figures.items()) json[key] = value;
  }
  if (!outcome.pairs.empty()) {
    json["pairs"] = outcome.pairs.size();
    json["pair_accuracy"] = eval::pair_accuracy(outcome.pairs);
  }
  json["seconds"] = seconds;
  return json;
}

std::string figure(const OrderedJson& value) {
  return value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : "-";
}

void print_figures(std::FILE* out, const OrderedJson& json) {
  fmt::print(out, "responses          {} ({} malformed verdicts, {} failures: error rate {:.4f})\n",
             json["responses"].get<int64_t>(), json["malformed"].get<int64_t>(),
             json["failed"].get<int64_t>(), json["error_rate"].get<double>());
  if (json.contains("accuracy")) {
    fmt::print(out, "accuracy           {}   95 % interval {} to {}, of the {} judged\n",
               figure(json["accuracy"]), figure(json["accuracy_95"][0]),
               figure(json["accuracy_95"][1]), json["judged"].get<int64_t>());
    fmt::print(out, "  of right ones    {}\n  of wrong ones    {}\n",
               figure(json["accuracy_of_right"]), figure(json["accuracy_of_wrong"]));
    fmt::print(out, "area under curve   {}\nBrier score        {}\ncalibration error  {}\n",
               figure(json["auc"]), figure(json["brier"]), figure(json["calibration_error"]));
    fmt::print(out, "probability      responses   mean   right\n");
    for (size_t b = 0; b < json["bins"].size(); ++b) {
      const OrderedJson& bin = json["bins"][b];
      if (bin["count"] == 0) continue;
      fmt::print(out, "  {:.1f} to {:.1f}   {:>10}   {:.3f}   {:.3f}\n",
                 0.1 * static_cast<double>(b), 0.1 * static_cast<double>(b + 1),
                 bin["count"].get<int64_t>(), bin["probability"].get<double>(),
                 bin["right"].get<double>());
    }
  }
  if (json.contains("pair_accuracy"))
    fmt::print(out, "pair accuracy      {}   of {} pairs\n", figure(json["pair_accuracy"]),
               json["pairs"].get<int64_t>());
  fmt::print(out, "speed              {:.1f} s in all\n", json["seconds"].get<double>());
}

std::string judgement_lines(const std::vector<datasets::JudgedRow>& rows,
                            const std::vector<eval::JudgedResponse>& responses) {
  std::string text;
  for (const eval::JudgedResponse& judged : responses) {
    const datasets::JudgedRow& row = rows[judged.row];
    OrderedJson line = {{"where", row.where}, {"response", *judged.response}};
    if (row.pair) {
      line["better"] = judged.response == &row.response;
    } else {
      line["label"] = row.label;
    }
    if (judged.status.ok()) {
      line["score"] = judged.score;
      line["probability"] = judged.probability;
    } else {
      line["error"] = judged.status.message();
    }
    text += dump_json(line) + "\n";
  }
  return text;
}

using Kind = eval::JudgeKind;

struct OptionScope {
  const char* option;
  bool classic, reasoning, served;  // kinds of models to which it applies
};
constexpr OptionScope kOptionScopes[] = {
    {"--prompt", false, true, true},        {"--votes", false, true, true},
    {"--temperature", false, true, true},   {"--max-tokens", false, true, true},
    {"--seed", false, true, false},         {"--max-concurrent", false, true, false},
    {"--chat-template", true, true, false}, {"--threads", true, true, false},
    {"--device", true, true, false},        {"--served-model", false, false, true},
    {"--timeout", false, false, true},      {"--parallel", false, false, true},
};

// Rejects an option that does not apply to the model and would be ignored.
Status check_given(const Options& o, Kind kind) {
  for (const OptionScope& scope : kOptionScopes) {
    const bool meant = kind == Kind::scores    ? scope.classic
                       : kind == Kind::reasons ? scope.reasoning
                                               : scope.served;
    if (!meant && std::find(o.given.begin(), o.given.end(), scope.option) != o.given.end())
      return invalid_argument(fmt::format("{} means nothing for {}", scope.option,
                                          kind == Kind::scores    ? "a model that scores"
                                          : kind == Kind::reasons ? "a model in this process"
                                                                  : "a served model"));
  }
  return ok_status();
}

Status check(const Options& o) {
  if (o.judge.model.path.empty() == o.judge.urls.empty())
    return invalid_argument("give either --model or --url");
  if (o.judge.votes % 2 == 0) return invalid_argument("--votes must be odd");
  if (o.judge.votes > 1 && o.judge.sampling.temperature == 0)
    return invalid_argument(
        "--votes above 1 needs a --temperature: greedy answers are all the same");
  return reward::check_judge_prompt(o.judge.prompt).with_context("--prompt");
}

Result<Kind> kind_of(const Options& o) {
  if (!o.judge.urls.empty()) return Kind::served;
  LS_ASSIGN_OR_RETURN(const auto config, model::read_model_config(o.judge.model.path));
  return config.score_head ? Kind::scores : Kind::reasons;
}

Status run(Options& o) {
  LS_RETURN_IF_ERROR(check(o));
  LS_RETURN_IF_ERROR(datasets::check_outputs(o.files, {o.output, o.judgements}));
  LS_ASSIGN_OR_RETURN(const Kind kind, kind_of(o));
  LS_RETURN_IF_ERROR(check_given(o, kind));
  LS_ASSIGN_OR_RETURN(const auto rows, datasets::read_judged(o.files));
  LS_ASSIGN_OR_RETURN(ResultFiles files, ResultFiles::open(o.output, o.judgements));
  const Stopwatch watch;
  LS_ASSIGN_OR_RETURN(const auto responses, eval::judge_rows(o.judge, kind, rows));
  const eval::JudgeOutcome outcome = eval::outcome_of(rows, responses);
  const char* name = kind == Kind::scores ? "classic" : "chain of thought";
  const OrderedJson json = report(o, name, outcome, responses.size(), watch.seconds());
  if (!outcome.first_failure.empty())
    std::fprintf(stderr, "longshot: no verdict for some responses; the first: %s\n",
                 outcome.first_failure.c_str());
  LS_RETURN_IF_ERROR(files.write_rows([&] { return judgement_lines(rows, responses); }));
  if (outcome.failed == static_cast<int64_t>(responses.size()))
    return invalid_argument("no response could be judged; the first: " + outcome.first_failure);
  print_figures(files.summary(), json);
  return files.write_figures(json);
}

Settings keys_of(Options& o) {
  Settings keys;
  config::bind_chat_template(keys, o.judge.model.chat_template);
  config::bind_machine(keys, o.judge.engine.device, o.judge.engine.threads);
  config::bind_response_length(keys, o.judge.sampling.max_response_length);
  config::bind_sampling(keys, o.judge.sampling, config::Greedy::allowed);
  config::bind_concurrency(keys, o.judge.max_concurrent);
  return keys;
}

}  // namespace

void add_rm_eval(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<Options>();
  o->judge.sampling.temperature = 0;
  CLI::App* command =
      app.add_subcommand("rm-eval", "Measure the accuracy and calibration of a reward model");
  command->add_option(
      "--model", o->judge.model.path,
      fmt::format("reward model that scores, or model that reasons: {}", kModelHelp));
  command->add_option("--url", o->judge.urls, "of a served model that reasons; several take turns");
  command->add_option("--data", o->files, "JSONL or parquet files of rows as for longshot rm")
      ->required();
  command->add_option("--prompt", o->judge.prompt,
                      "question to a model that reasons: {question}, {reference}, {response} are "
                      "replaced; docs/reward-models.md has the default");
  command
      ->add_option("--votes", o->judge.votes, "verdicts on each response of a model that reasons")
      ->check(CLI::PositiveNumber);
  add_key_flags(*command, keys_of(*o),
                {{"--temperature", "rollout.temperature"},
                 {"--max-tokens", "data.max_response_length"},
                 {"--max-concurrent", "rollout.max_concurrent"},
                 {"--chat-template", "model.chat_template"},
                 {"--threads", "trainer.threads"},
                 {"--device", "trainer.device"}});
  command->add_option("--seed", o->judge.seed, "of the reasoning in this process");
  command->add_option("--served-model", o->judge.served_model,
                      "with --url: the request's model name");
  command->add_option("--timeout", o->judge.timeout, "with --url: seconds for each response")
      ->check(CLI::PositiveNumber);
  command->add_option("--parallel", o->judge.parallel, "with --url: responses judged at a time")
      ->check(CLI::Range(1, 1024));
  command->add_option("--output", o->output, "write the figures as JSON");
  command->add_option("--judgements", o->judgements, "write every judgement as JSONL");
  command->callback([o, command, &exit_code] {
    for (const OptionScope& scope : kOptionScopes)
      if (command->count(scope.option) > 0) o->given.push_back(scope.option);
    o->judge.default_length = command->count("--max-tokens") == 0;
    exit_code = finish([&] { return run(*o); });
  });
}

}  // namespace longshot::commands

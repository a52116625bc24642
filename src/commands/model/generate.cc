// longshot generate: answers to one prompt or to a file of them.

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/json.h"
#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/output.h"
#include "base/os/stop.h"
#include "commands/command.h"
#include "commands/model/inference.h"
#include "commands/model/model.h"
#include "datasets/encode.h"
#include "datasets/prompts.h"
#include "datasets/schema.h"
#include "datasets/text_source.h"
#include "rollout/jobs.h"

namespace longshot::commands {
namespace {

constexpr int kStoppedExitCode = 130;

struct Options {
  InferenceOptions inference;
  std::string prompt, input, output = "-";
  int n = 1;
  bool raw = false;
};

struct Row {
  OrderedJson json;  // as read; its fields are copied to the output
  std::string id;
  std::vector<data::TokenId> tokens;
};

// A string is the user's message (or the text itself with --raw); a list is a chat.
Result<std::vector<data::TokenId>> tokens_of(const datasets::Row& row, const Options& options,
                                             const model::ModelFiles& files) {
  const std::string& where = row.where;
  LS_ASSIGN_OR_RETURN(const Json prompt, json_get<Json>(row.json, "prompt", where));
  if (!prompt.is_string() && !prompt.is_array()) {
    return invalid_argument(where + ": 'prompt' must be a string or a list of messages");
  }
  if (options.raw && prompt.is_array())
    return invalid_argument(where + ": with --raw 'prompt' must be a string");
  if (options.raw ||
      (prompt.is_string() && files.chat_template.is_plain() && options.inference.system.empty()))
    return datasets::encode_raw_prompt(*files.tokenizer, prompt.get<std::string>(), where);
  tokenizer::Chat messages;
  if (prompt.is_string()) {
    messages.push_back({{"user", prompt.get<std::string>()}});
  } else {
    LS_ASSIGN_OR_RETURN(messages, datasets::parse_chat(datasets::ordered_column(row, "prompt"),
                                                       where + ": 'prompt'"));
  }
  const std::string& system = options.inference.system;
  if (!system.empty() && messages.front().role != "system")
    messages.insert(messages.begin(), {{"system", system}});
  LS_ASSIGN_OR_RETURN(const std::string arguments, datasets::template_arguments_of(row));
  return datasets::encode_chat(*files.tokenizer, files.chat_template, messages, {true, arguments},
                               where);
}

Result<Row> read_row(const Json& json, const Options& options, const model::ModelFiles& files,
                     const std::string& where, const std::string& line = "") {
  Row row;
  row.json = json;
  LS_ASSIGN_OR_RETURN(row.tokens, tokens_of({json, where, line}, options, files));
  if (row.tokens.empty()) return invalid_argument(where + ": the prompt has no tokens");
  row.id = rollout::content_id(row.tokens);
  return row;
}

Result<std::vector<Row>> read_rows(const Options& options, const model::ModelFiles& files) {
  std::vector<Row> rows;
  if (options.input.empty()) {
    LS_ASSIGN_OR_RETURN(rows.emplace_back(),
                        read_row({{"prompt", options.prompt}}, options, files, "--prompt"));
    return rows;
  }
  LS_ASSIGN_OR_RETURN(datasets::TextSource text, datasets::TextSource::open(options.input));
  int number = 0;
  for (std::string line; std::getline(text.stream(), line);) {
    const std::string where = options.input + ":" + std::to_string(++number);
    LS_RETURN_IF_ERROR(text.status().with_context(where));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    LS_ASSIGN_OR_RETURN(const Json json, parse_json(line, where));
    LS_ASSIGN_OR_RETURN(rows.emplace_back(), read_row(json, options, files, where, line));
  }
  LS_RETURN_IF_ERROR(text.status().with_context(options.input));
  if (rows.empty()) return invalid_argument(options.input + " holds no row");
  const auto texts = std::count_if(rows.begin(), rows.end(),
                                   [](const Row& row) { return row.json["prompt"].is_string(); });
  datasets::warn_of_texts(files.chat_template, !options.raw, static_cast<size_t>(texts),
                          rows.size());
  return rows;
}

rollout::RunnerLimits limits_for(const std::vector<Row>& rows, Options& options,
                                 const model::ModelConfig& config) {
  size_t longest = 0;
  for (const Row& row : rows) longest = std::max(longest, row.tokens.size());
  int& response = options.inference.sampling.max_response_length;
  if (options.inference.has_default_length())
    inference::fit_default_response(config, static_cast<int>(longest), response);
  rollout::RunnerLimits limits;
  limits.max_sequence = static_cast<int>(longest) + response;
  limits.max_running =
      static_cast<int>(std::min<size_t>(rows.size() * static_cast<size_t>(options.n), 64));
  inference::warn_of_positions(config, limits.max_sequence, "prompt and answer");
  return limits;
}

std::vector<data::Sample> jobs_for(const std::vector<Row>& rows, const Options& options) {
  std::vector<data::Sample> jobs;
  for (const Row& row : rows) {
    for (int i = 0; i < options.n; ++i) {
      data::Sample& job = jobs.emplace_back();
      job.prompt_id = row.id;
      job.index = static_cast<uint32_t>(i);
      job.seed = options.inference.seed;
      job.prompt_tokens = row.tokens;
    }
  }
  return jobs;
}

OrderedJson completion_json(const data::Sample& sample) {
  OrderedJson json;
  json["text"] = sample.text;
  json["tokens"] = sample.tokens;
  json["logprobs"] = sample.logprobs;
  json["finish_reason"] = data::finish_reason_name(sample.finish);
  return json;
}

std::string format_rows(const std::vector<Row>& rows, const std::vector<data::Sample>& samples,
                        int n) {
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    OrderedJson json = rows[r].json;
    json["completions"] = OrderedJson::array();
    for (int i = 0; i < n; ++i) json["completions"].push_back(completion_json(samples[r * n + i]));
    text += dump_json(json) + "\n";
  }
  return text;
}

// One prompt without an output file is for a person, so only texts are printed.
std::string format_texts(const std::vector<data::Sample>& samples) {
  std::string text;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples.size() > 1) text += fmt::format("--- {}\n", i + 1);
    text += samples[i].text + "\n";
  }
  return text;
}

Status run(Options& options) {
  if (options.prompt.empty() == options.input.empty()) {
    return invalid_argument("give either --prompt TEXT or --input rows.jsonl");
  }
  LS_RETURN_IF_ERROR(datasets::check_system_prompt(options.inference.system, !options.raw));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, load_for_inference(options.inference));
  LS_ASSIGN_OR_RETURN(const std::vector<Row> rows, read_rows(options, files));
  LS_ASSIGN_OR_RETURN(Output output, Output::open(options.output));
  LS_ASSIGN_OR_RETURN(const auto engine,
                      inference::open_engine(options.inference.model, options.inference.engine,
                                             files, limits_for(rows, options, files.config)));
  rollout::EngineOptions engine_options;
  engine_options.sampling = options.inference.sampling;
  engine_options.speculation = options.inference.speculation;
  Stopwatch since_report;
  const auto on_progress = [&](const rollout::Progress& p) {
    if (since_report.seconds() < 10) return;
    since_report.restart();
    log::info("{} of {} answers, {} tokens", p.finished, p.total, p.generated_tokens);
  };
  LS_ASSIGN_OR_RETURN(const auto samples,
                      engine->generate(jobs_for(rows, options), engine_options, on_progress));
  const bool texts_only = options.input.empty() && options.output == "-";
  LS_RETURN_IF_ERROR(
      output.write(texts_only ? format_texts(samples) : format_rows(rows, samples, options.n)));
  LS_RETURN_IF_ERROR(output.finish());
  if (!options.input.empty()) {
    Metrics metrics = engine->metrics();
    log::info("{:.0f} tokens, {:.0f} tokens/s, {:.2f} tokens of a sample per forward",
              metrics["rollout/generated_tokens"], metrics["rollout/tokens_per_second"],
              metrics["rollout/tokens_per_forward"]);
  }
  return ok_status();
}

}  // namespace

void add_generate(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("generate", "Generate answers to prompts");
  command->footer(
      "Answers to prompts. Rows {\"prompt\": text or messages} "
      "get \"completions\": [{text, tokens, logprobs, "
      "finish_reason}]; --prompt alone prints the text. Ctrl-C "
      "writes what there is (finish_reason \"partial\")");
  command->add_option("--prompt", options->prompt, "one prompt");
  command->add_option("--input", options->input, "JSON lines; - is stdin");
  command->add_option("--output", options->output, "JSON lines; - is stdout")
      ->capture_default_str();
  command->add_option("-n,--n", options->n, "answers per prompt")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--raw", options->raw, "no chat template: the prompt is the text to continue");
  add_inference_options(*command, options->inference);
  command->callback([options, &exit_code] {
    exit_code = finish([&] { return run(*options); });
    if (exit_code == 0 && stop_requested()) exit_code = kStoppedExitCode;
  });
}

}  // namespace longshot::commands

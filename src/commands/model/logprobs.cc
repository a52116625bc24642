// longshot logprobs: log-probabilities of sequences under a model, one JSON row each.

#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/os/output.h"
#include "base/settings/checks.h"
#include "commands/command.h"
#include "commands/key_flags.h"
#include "commands/model/model.h"
#include "config/sections/machine.h"
#include "datasets/encode.h"
#include "datasets/text_source.h"
#include "model/format/model_files.h"
#include "model/sequence_logprobs.h"
#include "model/torch/runtime.h"
#include "model/weights.h"

namespace longshot::commands {
namespace {

struct Options {
  std::string model, input = "-", output = "-", device = "cpu";
  double temperature = 1.0;
  int threads = 0;
  int64_t batch_tokens = 4096;
};

struct Row {
  std::vector<int32_t> tokens;
  bool from_text = false;
};

Result<std::vector<int32_t>> tokenize(const tokenizer::Tokenizer* tokenizer,
                                      const std::string& text, const std::string& where) {
  if (tokenizer == nullptr) {
    return invalid_argument(where +
                            ": a row with 'text' needs a model with a tokenizer; give 'tokens'");
  }
  return datasets::encode_raw_prompt(*tokenizer, text, where);
}

Result<std::vector<int32_t>> token_ids(const Json& row, int vocab_size, const std::string& where) {
  const Json& values = row.at("tokens");
  if (!values.is_array())
    return invalid_argument(where + ": 'tokens' must be an array of token ids");
  std::vector<int32_t> tokens;
  for (const Json& value : values) {
    if (!value.is_number_integer()) {
      return invalid_argument(where + ": 'tokens' holds " + dump_json(value) +
                              ", which is not an integer");
    }
    if (value < 0 || value >= vocab_size) {
      return invalid_argument(where + ": token id " + dump_json(value) +
                              " is outside the vocabulary of " + std::to_string(vocab_size));
    }
    tokens.push_back(value.get<int32_t>());
  }
  return tokens;
}

Result<Row> parse_row(const std::string& line, const model::ModelFiles& files,
                      const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(line, where));
  const bool has_tokens = json.is_object() && json.contains("tokens");
  const bool has_text = json.is_object() && json.contains("text");
  if (has_tokens == has_text) {
    return invalid_argument(where + ": a row needs either 'tokens' or 'text'");
  }
  Row row;
  if (has_tokens) {
    LS_ASSIGN_OR_RETURN(row.tokens, token_ids(json, files.config.vocab_size, where));
  } else {
    LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(json, "text", where));
    LS_ASSIGN_OR_RETURN(row.tokens, tokenize(files.tokenizer.get(), text, where));
    row.from_text = true;
  }
  if (row.tokens.empty()) return invalid_argument(where + ": the row has no tokens");
  return row;
}

// Reads all rows before anything is computed, so that a bad row is reported at once.
Result<std::vector<Row>> read_rows(const Options& options, const model::ModelFiles& files) {
  LS_ASSIGN_OR_RETURN(datasets::TextSource text, datasets::TextSource::open(options.input));
  const std::string name = options.input == "-" ? "stdin" : options.input;
  std::vector<Row> rows;
  int64_t number = 0;
  for (std::string line; std::getline(text.stream(), line);) {
    const std::string where = name + ":" + std::to_string(++number);
    LS_RETURN_IF_ERROR(text.status().with_context(where));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    LS_ASSIGN_OR_RETURN(Row row, parse_row(line, files, where));
    rows.push_back(std::move(row));
  }
  LS_RETURN_IF_ERROR(text.status().with_context(name));
  return rows;
}

std::string format_rows(const std::vector<Row>& rows,
                        const std::vector<std::vector<float>>& logprobs) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    OrderedJson json;
    if (rows[i].from_text) json["tokens"] = rows[i].tokens;
    json["logprobs"] = logprobs[i];
    text += dump_json(json) + "\n";
  }
  return text;
}

Status run(const Options& options) {
  model::configure_compute(options.threads);
  LS_RETURN_IF_ERROR(model::check_device(options.device));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, model::read_model(options.model));
  LS_ASSIGN_OR_RETURN(const std::vector<Row> rows, read_rows(options, files));
  LS_ASSIGN_OR_RETURN(Output output, Output::open(options.output));
  LS_ASSIGN_OR_RETURN(model::Weights weights,
                      model::Weights::from_host(files.config, files.weights, options.device));
  files.weights.clear();
  // The forward pass that defines the model.
  const auto compute = model::make_compute(weights, {.kernels = model::KernelChoice::libtorch});
  std::vector<std::vector<int32_t>> sequences;
  for (const Row& row : rows) sequences.push_back(row.tokens);
  LS_RETURN_IF_ERROR(output.write(format_rows(
      rows,
      model::sequence_logprobs(*compute, sequences, options.temperature, options.batch_tokens))));
  return output.finish();
}

}  // namespace

void add_logprobs(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logprobs", "Compute the log-probabilities of sequences");
  command->footer(
      "Log-probabilities of the tokens of sequences. Rows {\"tokens\": [..]} or "
      "{\"text\": \"..\"} become "
      "{\"logprobs\": [..]}, one value for each token after the first");
  command->add_option("--model", options->model, kModelHelp)->required();
  command->add_option("--input", options->input, "JSON lines; - is stdin")->capture_default_str();
  command->add_option("--output", options->output, "JSON lines; - is stdout")
      ->capture_default_str();
  Settings keys;
  config::bind_machine(keys, options->device, options->threads);
  keys.add("temperature", &options->temperature, "logits are divided by it", above(0));
  add_key_flags(*command, keys,
                {{"--temperature", "temperature"},
                 {"--device", "trainer.device"},
                 {"--threads", "trainer.threads"}});
  command->add_option("--batch-tokens", options->batch_tokens, "tokens in one forward pass")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands

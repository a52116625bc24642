// longshot tokenize: rows of text to rows of token ids, and back.

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <memory>

#include "base/output.h"
#include "commands/command.h"
#include "model/format/adapter.h"
#include "model/format/gguf_model.h"
#include "model/format/model_path.h"
#include "tokenizer/tokenizer.h"

namespace longshot::commands {
namespace {

struct TokenizeOptions {
  std::string model, input = "-", output = "-";
  bool decode = false;
  bool no_special = false;
};

bool is_stdin(const TokenizeOptions& options) {
  return options.input.empty() || options.input == "-";
}

using TokenizerPtr = std::unique_ptr<tokenizer::Tokenizer>;

Result<TokenizerPtr> load(const std::string& given) {
  LS_ASSIGN_OR_RETURN(std::string path, model::find_model(given));
  if (model::is_adapter_directory(path)) {
    LS_ASSIGN_OR_RETURN(path, model::adapter_base(path));
  }
  if (!path.ends_with(".gguf")) return tokenizer::load_tokenizer(path);
  LS_ASSIGN_OR_RETURN(const tokenizer::GgufVocabulary vocabulary,
                      model::read_gguf_vocabulary(path));
  auto made = tokenizer::make_gguf_tokenizer(vocabulary);
  if (!made.ok()) return made.status().with_context(path);
  return made;
}

Result<Json> encode_row(const tokenizer::Tokenizer& tokenizer, const Json& row, bool no_special,
                        const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(row, "text", where));
  return Json{{"tokens", tokenizer.encode(text, !no_special)}};
}

Result<Json> decode_row(const tokenizer::Tokenizer& tokenizer, const Json& row, bool no_special,
                        const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(row, "tokens", where));
  if (!list.is_array()) return invalid_argument(where + ": key 'tokens' is not a list");
  std::vector<tokenizer::TokenId> ids;
  for (const Json& id : list) {
    const bool known = id.is_number_unsigned() &&
                       id.get<uint64_t>() < static_cast<uint64_t>(tokenizer.vocab_size());
    if (!known) {
      return invalid_argument(fmt::format("{}: token {} is not an id from 0 to {}", where,
                                          dump_json(id), tokenizer.vocab_size() - 1));
    }
    ids.push_back(id.get<tokenizer::TokenId>());
  }
  return Json{{"text", tokenizer.decode(ids, no_special)}};
}

Status convert_rows(const tokenizer::Tokenizer& tokenizer, const TokenizeOptions& options,
                    std::istream& in, Output& out) {
  constexpr size_t kBlock = 1 << 16;
  const std::string source = is_stdin(options) ? "<stdin>" : options.input;
  std::string text;
  const auto convert = options.decode ? decode_row : encode_row;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = fmt::format("{}:{}", source, number);
    LS_ASSIGN_OR_RETURN(const Json row, parse_json(line, where));
    LS_ASSIGN_OR_RETURN(const Json converted, convert(tokenizer, row, options.no_special, where));
    text += dump_json(converted) + '\n';
    // A program at the other end of a pipe waits for the answer to each of its rows.
    if (text.size() < kBlock && in.rdbuf()->in_avail() > 0) continue;
    LS_RETURN_IF_ERROR(out.write(text));
    text.clear();
  }
  if (in.bad()) return io_error("cannot read " + source);
  LS_RETURN_IF_ERROR(out.write(text));
  return out.finish();
}

Status run(const TokenizeOptions& options) {
  LS_ASSIGN_OR_RETURN(const TokenizerPtr tokenizer, load(options.model));
  std::ifstream input;
  if (!is_stdin(options)) {
    input.open(options.input, std::ios::binary);
    if (!input) return not_found("cannot open " + options.input);
  }
  LS_ASSIGN_OR_RETURN(Output output, Output::open(options.output));
  return convert_rows(*tokenizer, options, is_stdin(options) ? std::cin : input, output);
}

}  // namespace

void add_tokenize(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand(
      "tokenize", "Turn rows {\"text\": ...} into {\"tokens\": [...]}, or back with --decode");
  command->add_option("--model", options->model, "Model directory or .gguf file")->required();
  command->add_option("--input", options->input, "JSON Lines to read; - is stdin")
      ->capture_default_str();
  command->add_option("--output", options->output, "JSON Lines to write; - is stdout")
      ->capture_default_str();
  command->add_flag("--decode", options->decode, "Turn {\"tokens\": [...]} into {\"text\": ...}");
  command->add_flag("--no-special", options->no_special,
                    "Read special tokens in the text as plain text; with --decode leave them out");
  command->callback(
      [options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands

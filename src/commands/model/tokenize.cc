// longshot tokenize: converts rows of text or chats to rows of token ids, and back.

#include <fmt/format.h>

#include <memory>

#include "base/os/output.h"
#include "commands/command.h"
#include "commands/model/inference.h"
#include "commands/model/model.h"
#include "commands/model/text_files.h"
#include "datasets/encode.h"
#include "datasets/schema.h"
#include "datasets/text_source.h"

namespace longshot::commands {
namespace {

struct TokenizeOptions {
  std::string model, input = "-", output = "-";
  std::string chat_template, chat_template_args;
  bool decode = false;
  bool no_special = false;
  bool raw = false;
};

Result<TextFiles> load(const TokenizeOptions& options) {
  LS_ASSIGN_OR_RETURN(TextFiles loaded, read_text_files(options.model));
  if (!options.chat_template.empty())
    LS_RETURN_IF_ERROR(loaded.chat_template.choose(options.chat_template));
  LS_RETURN_IF_ERROR(loaded.chat_template.set_arguments(options.chat_template_args));
  return loaded;
}

Result<bool> flag_of(const datasets::Row& row, const char* key, bool fallback) {
  return row.json.contains(key) ? json_get<bool>(row.json, key, row.where) : fallback;
}

// Encodes a chat as the model sees it. `open` begins the answer, unless the row says otherwise.
Result<Json> encode_messages(const TextFiles& loaded, const datasets::Row& row,
                             const OrderedJson& list, bool open) {
  LS_ASSIGN_OR_RETURN(const tokenizer::Chat chat, datasets::parse_chat(list, row.where));
  tokenizer::ChatOptions chat_options;
  LS_ASSIGN_OR_RETURN(chat_options.continue_final_message,
                      flag_of(row, "continue_final_message", false));
  LS_ASSIGN_OR_RETURN(
      chat_options.add_generation_prompt,
      flag_of(row, "add_generation_prompt", open && !chat_options.continue_final_message));
  LS_ASSIGN_OR_RETURN(chat_options.arguments, datasets::template_arguments_of(row));
  auto text = loaded.chat_template.render_chat(chat, chat_options);
  if (!text.ok()) return text.status().with_context(row.where);
  return Json{{"text", *text}, {"tokens", loaded.tokenizer->encode(*text)}};
}

Result<Json> encode_row(const TextFiles& loaded, const datasets::Row& row,
                        const TokenizeOptions& options) {
  if (datasets::has(row.json, "messages"))
    return encode_messages(loaded, row, datasets::ordered_column(row, "messages"), false);
  if (datasets::has(row.json, "prompt")) {
    const OrderedJson prompt = datasets::ordered_column(row, "prompt");
    if (!prompt.is_string()) return encode_messages(loaded, row, prompt, true);
    const std::string text = prompt.get<std::string>();
    if (!options.raw && !loaded.chat_template.is_plain())
      return encode_messages(loaded, row,
                             OrderedJson::array({OrderedJson{{"role", "user"}, {"content", text}}}),
                             true);
    LS_ASSIGN_OR_RETURN(const auto ids,
                        datasets::encode_raw_prompt(*loaded.tokenizer, text, row.where));
    return Json{{"tokens", ids}};
  }
  LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(row.json, "text", row.where));
  return Json{{"tokens", loaded.tokenizer->encode(text, !options.no_special)}};
}

Result<Json> decode_row(const TextFiles& loaded, const datasets::Row& row,
                        const TokenizeOptions& options) {
  const tokenizer::Tokenizer& tokenizer = *loaded.tokenizer;
  const std::string& where = row.where;
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(row.json, "tokens", where));
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
  return Json{{"text", tokenizer.decode_text(ids, options.no_special)}};
}

Status convert_rows(const TextFiles& loaded, const TokenizeOptions& options,
                    datasets::TextSource& input, Output& out) {
  constexpr size_t kBlock = 1 << 16;
  const std::string source =
      options.input.empty() || options.input == "-" ? "<stdin>" : options.input;
  std::istream& in = input.stream();
  std::string text;
  const auto convert = options.decode ? decode_row : encode_row;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const std::string where = fmt::format("{}:{}", source, number);
    LS_RETURN_IF_ERROR(input.status().with_context(where));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    LS_ASSIGN_OR_RETURN(const Json json, parse_json(line, where));
    LS_ASSIGN_OR_RETURN(const Json converted, convert(loaded, {json, where, line}, options));
    text += dump_json(converted) + '\n';
    // A program at the other end of a pipe may wait for the answer to each of its rows.
    if (text.size() < kBlock && in.rdbuf()->in_avail() > 0) continue;
    LS_RETURN_IF_ERROR(out.write(text));
    text.clear();
  }
  LS_RETURN_IF_ERROR(input.status().with_context(source));
  LS_RETURN_IF_ERROR(out.write(text));
  return out.finish();
}

Status run(const TokenizeOptions& options) {
  LS_ASSIGN_OR_RETURN(const TextFiles loaded, load(options));
  LS_ASSIGN_OR_RETURN(datasets::TextSource input,
                      datasets::TextSource::open(options.input.empty() ? "-" : options.input));
  LS_ASSIGN_OR_RETURN(Output output, Output::open(options.output));
  return convert_rows(loaded, options, input, output);
}

}  // namespace

void add_tokenize(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Turn texts and chats into token ids, and back");
  command->footer(
      "Turn rows {\"text\": ...} into {\"tokens\": [...]}, or back with --decode. Chats, "
      "{\"messages\": "
      "[...]}, and prompts, {\"prompt\": text or messages}, go through the chat template; their "
      "rendered text is written too");
  command->add_option("--model", options->model, kModelHelp)->required();
  command->add_option("--input", options->input, "JSON Lines to read; - is stdin")
      ->capture_default_str();
  command->add_option("--output", options->output, "JSON Lines to write; - is stdout")
      ->capture_default_str();
  add_chat_template_options(*command, options->chat_template, options->chat_template_args);
  command->add_flag("--raw", options->raw, "a prompt that is a text is encoded as it is");
  command->add_flag("--decode", options->decode, "Turn {\"tokens\": [...]} into {\"text\": ...}");
  command->add_flag("--no-special", options->no_special,
                    "Read special tokens in the text as plain text; with --decode leave them out");
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands

// longshot data: creates data sets of the native tasks and shows the contents of a data file.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/metrics.h"
#include "commands/command.h"
#include "commands/data/data.h"
#include "commands/key_flags.h"
#include "commands/model/text_files.h"
#include "datasets/encode.h"
#include "datasets/prompts.h"
#include "datasets/rows.h"
#include "datasets/schema.h"
#include "datasets/supervised.h"
#include "datasets/tasks/make_data.h"
#include "datasets/tasks/tasks.h"
#include "datasets/tokenize.h"

namespace longshot::commands {
namespace {

using datasets::Row;
using datasets::Schema;

struct InspectOptions {
  std::vector<std::string> files;
  std::string model;
  int rows = 3;
  bool json = false;
};

// Parses "3" or "2-8".
std::string parse_levels(const std::string& text, datasets::MakeOptions& options) {
  int consumed = 0;
  const int fields =
      std::sscanf(text.c_str(), "%d-%d%n", &options.low_level, &options.high_level, &consumed);
  if (fields == 2 && consumed == static_cast<int>(text.size())) return "";
  consumed = 0;
  if (std::sscanf(text.c_str(), "%d%n", &options.low_level, &consumed) == 1 &&
      consumed == static_cast<int>(text.size())) {
    options.high_level = options.low_level;
    return "";
  }
  return "'" + text + "' is not a level or a range such as 2-8";
}

std::string level_help() {
  std::string help = "range of difficulty, e.g. 2-8; ";
  for (const datasets::Task& task : datasets::tasks()) {
    help += fmt::format("{}: {} ({}-{}, default {}-{}); ", task.name, task.level, task.min_level,
                        task.max_level, task.default_low, task.default_high);
  }
  return help.substr(0, help.size() - 2);
}

Result<OrderedJson> prompt_facts(const InspectOptions& options) {
  LS_ASSIGN_OR_RETURN(const auto prompts, datasets::read_prompts(options.files, {}));
  OrderedJson sources = OrderedJson::object();
  Summary difficulty;
  for (const data::Prompt& prompt : prompts) {
    sources[prompt.data_source] = sources.value(prompt.data_source, 0) + 1;
    difficulty.add(prompt.difficulty);
  }
  return OrderedJson{
      {"data_sources", sources},
      {"difficulty",
       {{"min", difficulty.min()}, {"mean", difficulty.mean()}, {"max", difficulty.max()}}}};
}

OrderedJson length_facts(std::vector<int> lengths) {
  std::sort(lengths.begin(), lengths.end());
  const auto quantile = [&](double q) {
    return lengths[static_cast<size_t>(q * static_cast<double>(lengths.size() - 1))];
  };
  double sum = 0;
  for (const int length : lengths) sum += length;
  return {{"min", lengths.front()},
          {"mean", sum / static_cast<double>(lengths.size())},
          {"median", quantile(0.5)},
          {"p99", quantile(0.99)},
          {"max", lengths.back()}};
}

// Token lengths with the model's own tokenizer and chat template; no row is dropped.
Result<OrderedJson> token_facts(const InspectOptions& options, bool is_prompts) {
  constexpr int kNoLimit = 1 << 30;
  LS_ASSIGN_OR_RETURN(const TextFiles files, read_text_files(options.model));
  const tokenizer::Tokenizer& tokenizer = *files.tokenizer;
  const tokenizer::ChatTemplate& chat = files.chat_template;
  int dropped = 0;
  std::vector<int> lengths, trained;
  if (is_prompts) {
    size_t texts = 0;
    LS_ASSIGN_OR_RETURN(auto prompts, datasets::read_prompts(options.files, {}, &texts));
    datasets::warn_of_texts(chat, true, texts, prompts.size(), datasets::RawChoice::none);
    LS_RETURN_IF_ERROR(datasets::tokenize_prompts(prompts, tokenizer, chat, kNoLimit, &dropped));
    for (const auto& prompt : prompts) lengths.push_back(static_cast<int>(prompt.tokens.size()));
    return OrderedJson{{"prompt", length_facts(lengths)}};
  }
  LS_ASSIGN_OR_RETURN(const auto examples,
                      datasets::read_supervised(options.files, tokenizer, chat, 0, kNoLimit,
                                                &dropped, true, datasets::RawChoice::none));
  for (const auto& example : examples) {
    lengths.push_back(static_cast<int>(example.tokens.size()));
    trained.push_back(static_cast<int>(
        std::count(example.loss_mask.begin(), example.loss_mask.end(), static_cast<uint8_t>(1))));
  }
  return OrderedJson{{"sequence", length_facts(lengths)}, {"trained", length_facts(trained)}};
}

// What one pass over the rows shows.
struct Inspected {
  size_t rows = 0;
  OrderedJson schemas = OrderedJson::object();  // name -> rows
  bool all_prompts = true;
  OrderedJson first = OrderedJson::array();  // the first rows with their places
};

Result<Inspected> inspect_rows(const InspectOptions& options) {
  Inspected seen;
  LS_RETURN_IF_ERROR(datasets::for_each_row(options.files, [&](Row&& row) -> Status {
    LS_ASSIGN_OR_RETURN(const Schema schema, datasets::detect_schema(row));
    ++seen.rows;
    const char* name = datasets::schema_name(schema);
    seen.schemas[name] = seen.schemas.value(name, 0) + 1;
    seen.all_prompts &= schema == Schema::verl || schema == Schema::prompt;
    if (seen.rows <= static_cast<size_t>(options.rows))
      seen.first.push_back({{"where", row.where}, {"row", OrderedJson(row.json)}});
    return ok_status();
  }));
  if (seen.rows > 0) return seen;
  return invalid_argument(fmt::format("no rows in {}", fmt::join(options.files, ", ")));
}

Result<OrderedJson> inspect_facts(const InspectOptions& options) {
  LS_ASSIGN_OR_RETURN(Inspected seen, inspect_rows(options));
  OrderedJson facts;
  facts["rows"] = seen.rows;
  facts["schema"] = std::move(seen.schemas);
  if (seen.all_prompts) {
    LS_ASSIGN_OR_RETURN(facts["prompts"], prompt_facts(options));
  }
  if (!options.model.empty()) {
    LS_ASSIGN_OR_RETURN(facts["tokens"], token_facts(options, seen.all_prompts));
  }
  facts["first"] = std::move(seen.first);
  return facts;
}

void print_facts(const OrderedJson& facts) {
  for (const auto& [key, value] : facts.items()) {
    if (key != "first") fmt::print("{}: {}\n", key, dump_json(value));
  }
  for (const auto& row : facts["first"]) {
    fmt::print("{}: {}\n", row["where"].get<std::string>(), dump_json(row["row"]));
  }
}

Status inspect(const InspectOptions& options) {
  LS_ASSIGN_OR_RETURN(const OrderedJson facts, inspect_facts(options));
  if (options.json) {
    fmt::print("{}\n", dump_json(facts));
  } else {
    print_facts(facts);
  }
  return ok_status();
}

Status make(const datasets::MakeOptions& options) {
  LS_RETURN_IF_ERROR(datasets::make_data(options));
  fmt::print("{}: {} train, {} val and {} sft rows in {}\n", options.task, options.train,
             options.val, options.sft, options.directory);
  return ok_status();
}

void add_make(CLI::App& data, int& exit_code) {
  auto options = std::make_shared<datasets::MakeOptions>();
  auto levels = std::make_shared<std::string>();
  CLI::App* app = data.add_subcommand(
      "make", "Write train.jsonl, val.jsonl, sft.jsonl and alphabet.txt of a native task");
  app->add_option("--task", options->task, datasets::task_names())->required();
  app->add_option("--out", options->directory, "directory to write to; made if missing")
      ->required();
  app->add_option("--train", options->train, "rows of train.jsonl; 0 = no such file")
      ->capture_default_str();
  app->add_option("--val", options->val,
                  "rows of val.jsonl, none of whose problems is in another file")
      ->capture_default_str();
  app->add_option("--sft", options->sft,
                  "rows of sft.jsonl: prompt and a completion that solves it")
      ->capture_default_str();
  app->add_option("--levels", *levels, level_help());
  app->add_option("--seed", options->seed, "the same seed writes the same files")
      ->capture_default_str();
  Settings keys;
  keys.add("format", &options->format, "row form of train and val");
  keys.add("style", &options->style,
           "char: compact, for a character tokenizer; text: English chats, for pretrained models");
  add_key_flags(*app, keys, {{"--format", "format"}, {"--style", "style"}});
  app->callback([options, levels, &exit_code] {
    const std::string wrong = levels->empty() ? "" : parse_levels(*levels, *options);
    exit_code = finish(
        [&] { return wrong.empty() ? make(*options) : invalid_argument("--levels: " + wrong); });
  });
}

void add_inspect(CLI::App& data, int& exit_code) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* app = data.add_subcommand(
      "inspect", "Print row form, number of rows, statistics and the first rows of data files");
  app->add_option("files", options->files, "JSONL and parquet files")->required();
  app->add_option(
      "--model", options->model,
      fmt::format("model whose tokenizer and chat template count tokens: {}", kModelHelp));
  app->add_option("--rows", options->rows, "rows to print")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app->add_flag("--json", options->json, "print one JSON object");
  app->callback([options, &exit_code] { exit_code = finish([&] { return inspect(*options); }); });
}

}  // namespace

void add_data(CLI::App& app, int& exit_code) {
  CLI::App* data =
      app.add_subcommand("data", "Make data sets of the native tasks, or inspect data files");
  data->require_subcommand(1);
  add_make(*data, exit_code);
  add_inspect(*data, exit_code);
}

}  // namespace longshot::commands

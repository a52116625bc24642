#include "curate/rows/problem_row.h"

#include <array>

#include "base/text/text.h"
#include "curate/text/words.h"
#include "datasets/prompts.h"
#include "datasets/schema.h"

namespace longshot::curate {
namespace {

constexpr std::array<const char*, 5> kPromptColumns = {"prompt", "problem", "question", "query",
                                                       "instruction"};

std::string prompt_column(const Json& row, const RowOptions& options) {
  if (!options.prompt_column.empty()) return options.prompt_column;
  for (const char* column : kPromptColumns) {
    if (datasets::has(row, column)) return column;
  }
  for (const char* column : kPromptColumns)  // null is how exports write a missing value
    if (row.contains(column)) return column;
  return kPromptColumns[0];
}

void clean_content(data::Content& content, TextForm form) {
  if (const std::string* plain = content.plain()) {
    content = data::Content(clean_text(*plain, form));
    return;
  }
  std::vector<data::ContentPart> parts;
  for (const auto& part : content.to_json())
    parts.push_back({data::PartKind::text, clean_text(part["text"].get<std::string>(), form)});
  content = data::Content(std::move(parts));
}

void clean_problem(data::Prompt& problem, TextForm form) {
  problem.text = clean_text(problem.text, form);
  for (data::Message& message : problem.messages) clean_content(message.content, form);
  if (problem.ground_truth_json.is_null())
    problem.ground_truth = clean_answer(problem.ground_truth, form);
}

OrderedJson messages_of(const data::Prompt& problem) {
  OrderedJson messages = OrderedJson::array();
  if (problem.messages.empty()) messages.push_back({{"role", "user"}, {"content", problem.text}});
  for (const data::Message& message : problem.messages) messages.push_back(data::to_json(message));
  return messages;
}

}  // namespace

Result<data::Prompt> parse_problem(const datasets::Row& row, const RowOptions& options) {
  datasets::ColumnMapping mapping;
  mapping.prompt = prompt_column(row.json, options);
  mapping.ground_truth = options.answer_column;
  // A prompt without any text is a row to drop, and not an error of the file.
  const auto value = row.json.find(mapping.prompt);
  const bool empty = value != row.json.end() &&
                     (value->is_null() || *value == "" || (value->is_array() && value->empty()));
  datasets::Row filled = row;
  if (empty) filled.json[mapping.prompt] = " ";
  LS_ASSIGN_OR_RETURN(data::Prompt problem, datasets::parse_prompt(filled, mapping));
  if (empty) problem.text.clear();
  if (problem.data_source.empty() && !options.data_source.empty()) {
    problem.data_source = options.data_source;
    problem.id = options.data_source + "/" + problem.id;
  }
  if (options.clean) clean_problem(problem, options.form);
  return problem;
}

std::string whole_text(const data::Prompt& problem) {
  if (problem.messages.empty()) return problem.text;
  std::string text;
  for (const data::Message& message : problem.messages) {
    if (message.role != "user") continue;
    if (!text.empty()) text += "\n";
    text += message.content.text();
  }
  return text;
}

std::string problem_words(const data::Prompt& problem, const RowOptions& options) {
  std::string text = whole_text(problem);
  for (const std::string& ignored : options.ignore) replace_all(text, ignored, " ");
  return comparison_words(text);
}

OrderedJson verl_row(const data::Prompt& problem) {
  OrderedJson row;
  const std::string source = problem.data_source.empty() ? "" : problem.data_source + "/";
  row["id"] = problem.id.starts_with(source) ? problem.id.substr(source.size()) : problem.id;
  if (!problem.data_source.empty()) row["data_source"] = problem.data_source;
  row["prompt"] = messages_of(problem);
  row["reward_model"] = {{"style", "rule"}, {"ground_truth", problem.ground_truth}};
  if (!problem.ground_truth_json.is_null())
    row["reward_model"]["ground_truth"] = OrderedJson(problem.ground_truth_json);
  row["extra_info"] =
      problem.extra_info.is_object() ? OrderedJson(problem.extra_info) : OrderedJson::object();
  row["extra_info"].erase("id");
  return row;
}

}  // namespace longshot::curate

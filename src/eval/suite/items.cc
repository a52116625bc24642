#include "eval/suite/items.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

#include "base/rng.h"
#include "base/text/text.h"
#include "datasets/encode.h"
#include "datasets/rows.h"
#include "eval/suite/fill.h"
#include "reward/rules/regex.h"

namespace longshot::eval {
namespace {

using datasets::Row;

int characters(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string letter(size_t index) {
  return std::string(1, static_cast<char>('A' + index));
}

Result<std::vector<std::string>> choices_of(const Task& task, const Row& row) {
  std::vector<std::string> choices;
  for (const std::string& choice : task.choices) {
    LS_ASSIGN_OR_RETURN(std::string text, fill(choice, row.json, row.where));
    choices.push_back(std::move(text));
  }
  if (!task.choices_column.empty()) {
    const auto column = row.json.find(task.choices_column);
    if (column == row.json.end() || !column->is_array())
      return invalid_argument(row.where + ": column '" + task.choices_column +
                              "' must be a list of choices");
    for (const Json& choice : *column)
      choices.push_back(choice.is_string() ? choice.get<std::string>() : dump_json(choice));
  }
  const bool wanted = !task.choices.empty() || !task.choices_column.empty();
  if (wanted && (choices.size() < 2 || choices.size() > 26))
    return invalid_argument(row.where + ": there must be 2 to 26 choices");
  return choices;
}

// The index of the choice that `text` is the number of, counted from `first`; -1: of none.
int numbered_choice(const std::string& text, int first, int count) {
  int number = -1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  const bool fits = error == std::errc() && end == last && number >= first;
  return fits && number - first < count ? number - first : -1;
}

// False for a number in the row or in the template itself, which is the number of a choice.
bool answer_is_text(const Task& task, const Json& row) {
  if (!task.answer_pattern.empty()) return true;
  const Json* column = only_column(task.answer, row);
  return column != nullptr ? column->is_string() : task.answer.find('{') != task.answer.npos;
}

// The index of the right choice, given as a letter, a number, or the text of a choice.
Result<int> right_choice(const Task& task, const std::string& answer,
                         const std::vector<std::string>& choices, const Row& row) {
  const auto count = static_cast<int>(choices.size());
  const std::string text(trim(answer));
  if (text.size() == 1 && text[0] >= 'A' && text[0] < 'A' + count) return text[0] - 'A';
  const int first = std::max(task.answer_from, 0);
  const int index = numbered_choice(text, first, count);
  const auto same = std::find(choices.begin(), choices.end(), answer);
  const bool number_first = task.answer_from >= 0 || !answer_is_text(task, row.json);
  if (index >= 0 && (number_first || same == choices.end())) return index;
  if (same != choices.end()) return static_cast<int>(same - choices.begin());
  return invalid_argument(fmt::format(
      "{}: the answer '{}' is none of the choices; if it is a number, set the task's 'answer_from' "
      "to the number of the first choice, 0 or 1 (now {})",
      row.where, answer, first));
}

// A row with what templates may use in addition to its columns.
struct Read {
  Row row;
  std::string id;
  std::vector<std::string> choices;
  int right = -1;
  std::string truth;
};

Result<std::string> truth_of(const Task& task, const Row& row) {
  LS_ASSIGN_OR_RETURN(std::string text, fill(task.answer, row.json, row.where));
  if (task.answer_pattern.empty()) return text;
  LS_ASSIGN_OR_RETURN(const auto regex, reward::Regex::compile(task.answer_pattern, false));
  LS_ASSIGN_OR_RETURN(const auto match, regex.search(text));
  if (!match)
    return invalid_argument(row.where + ": 'answer_pattern' does not match the answer '" + text +
                            "'");
  return std::string(match->group);
}

void shuffle_choices(Read& read) {
  std::vector<int> order(read.choices.size());
  std::iota(order.begin(), order.end(), 0);
  CounterRng random(hash64(read.id));
  random.shuffle(order);
  std::vector<std::string> choices;
  for (const int i : order) choices.push_back(read.choices[static_cast<size_t>(i)]);
  read.right = static_cast<int>(std::find(order.begin(), order.end(), read.right) - order.begin());
  read.choices = std::move(choices);
}

Result<Read> read_row(const Task& task, Row row, size_t number) {
  Read read{std::move(row), fmt::format("{}", number), {}, -1, {}};
  if (!task.id.empty()) {
    LS_ASSIGN_OR_RETURN(read.id, fill(task.id, read.row.json, read.row.where));
  }
  LS_ASSIGN_OR_RETURN(read.truth, truth_of(task, read.row));
  LS_ASSIGN_OR_RETURN(read.choices, choices_of(task, read.row));
  if (read.choices.empty()) return read;
  LS_ASSIGN_OR_RETURN(read.right, right_choice(task, read.truth, read.choices, read.row));
  if (task.shuffle) shuffle_choices(read);
  std::string options;
  for (size_t i = 0; i < read.choices.size(); ++i)
    options += (i > 0 ? "\n" : "") + letter(i) + ". " + read.choices[i];
  read.row.json["options"] = options;
  return read;
}

// The row with {choice} and {letter}.
Json with_choice(const Read& read, int index) {
  Json row = read.row.json;
  row["choice"] = read.choices[static_cast<size_t>(index)];
  row["letter"] = letter(static_cast<size_t>(index));
  return row;
}

Result<std::string> example(const Task& task, const Read& read) {
  Json row = read.right < 0 ? read.row.json : with_choice(read, read.right);
  row["truth"] = read.truth;
  if (!task.shot.empty()) return fill(task.shot, row, read.row.where);
  LS_ASSIGN_OR_RETURN(const std::string prompt, fill(task.prompt, row, read.row.where));
  LS_ASSIGN_OR_RETURN(const std::string end, read.right < 0
                                                 ? Result<std::string>(" " + read.truth)
                                                 : fill(task.continuation, row, read.row.where));
  return prompt + end;
}

struct Example {
  std::string where, text;
};

// One more than needed, because a row is not an example of itself.
Result<std::vector<Example>> read_examples(const Task& task) {
  std::vector<Example> examples;
  if (task.shots == 0) return examples;
  size_t number = 0;
  LS_ASSIGN_OR_RETURN(const auto rows,
                      datasets::read_rows(task.shot_files.empty() ? task.files : task.shot_files));
  for (const Row& row : rows) {
    if (static_cast<int>(examples.size()) > task.shots) break;
    LS_ASSIGN_OR_RETURN(const Read read, read_row(task, row, number++));
    LS_ASSIGN_OR_RETURN(std::string text, example(task, read));
    examples.push_back({row.where, std::move(text)});
  }
  if (static_cast<int>(examples.size()) < task.shots)
    return invalid_argument(fmt::format("task '{}': shots = {}, but there are {} examples",
                                        task.name, task.shots, examples.size()));
  return examples;
}

class Loader {
 public:
  Loader(const Task& task, const tokenizer::Tokenizer& tokenizer,
         const tokenizer::ChatTemplate& chat_template)
      : task_(task), tokenizer_(tokenizer), chat_template_(chat_template) {}

  Status begin() {
    LS_ASSIGN_OR_RETURN(examples_, read_examples(task_));
    return ok_status();
  }

  Result<Item> item(Row row, size_t number) const {
    LS_ASSIGN_OR_RETURN(const Read read, read_row(task_, std::move(row), number));
    Item item;
    item.choices = read.choices;
    item.right = read.right;
    data::Prompt& prompt = item.prompt;
    prompt.id = task_.name + "/" + read.id;
    prompt.data_source = task_.name;
    prompt.extra_info = read.row.json;
    LS_RETURN_IF_ERROR(set_truth(read, prompt));
    LS_ASSIGN_OR_RETURN(prompt.text, text_of(read));
    LS_RETURN_IF_ERROR(task_.kind == TaskKind::likelihood ? tokenize_choices(read, item)
                                                          : tokenize(read, prompt));
    return item;
  }

 private:
  Status set_truth(const Read& read, data::Prompt& prompt) const {
    prompt.ground_truth = read.truth;
    if (!read.choices.empty()) {
      prompt.ground_truth = letter(static_cast<size_t>(read.right));
      prompt.extra_info["choices"] = read.choices;
    }
    if (task_.answer_columns.empty()) return ok_status();
    Json truth = Json::object();
    for (const std::string& column : task_.answer_columns) {
      const auto value = read.row.json.find(column);
      if (value == read.row.json.end())
        return invalid_argument(read.row.where + ": there is no column '" + column + "'");
      truth[column] = *value;
    }
    prompt.ground_truth = dump_json(truth);
    prompt.ground_truth_json = std::move(truth);
    return ok_status();
  }

  Result<std::string> text_of(const Read& read) const {
    std::string text;
    int used = 0;
    for (const Example& example : examples_) {
      if (used == task_.shots || example.where == read.row.where) continue;
      text += example.text + task_.separator;
      ++used;
    }
    LS_ASSIGN_OR_RETURN(const std::string prompt,
                        fill(task_.prompt, read.row.json, read.row.where));
    return text + prompt;
  }

  Status tokenize(const Read& read, data::Prompt& prompt) const {
    // A model without a template gets a text as it is, unless a system message precedes it.
    if (task_.chat && (!chat_template_.is_plain() || !task_.system.empty())) {
      if (!task_.system.empty()) prompt.messages.push_back({"system", task_.system});
      prompt.messages.push_back({"user", prompt.text});
      LS_ASSIGN_OR_RETURN(
          prompt.tokens,
          datasets::encode_chat(tokenizer_, chat_template_, prompt.messages, true, read.row.where));
      return ok_status();
    }
    LS_ASSIGN_OR_RETURN(prompt.tokens,
                        datasets::encode_raw_prompt(tokenizer_, prompt.text, read.row.where));
    return ok_status();
  }

  Status tokenize_choices(const Read& read, Item& item) const {
    const size_t end = prompt_end(item.prompt.text);
    const std::string blanks = item.prompt.text.substr(end);
    const std::string text = item.prompt.text.substr(0, end);
    LS_ASSIGN_OR_RETURN(item.prompt.tokens,
                        datasets::encode_raw_prompt(tokenizer_, text, read.row.where));
    for (size_t i = 0; i < read.choices.size(); ++i) {
      LS_ASSIGN_OR_RETURN(
          const std::string more,
          fill(task_.continuation, with_choice(read, static_cast<int>(i)), read.row.where));
      LS_ASSIGN_OR_RETURN(
          std::vector<data::TokenId> whole,
          datasets::encode_raw_prompt(tokenizer_, text + blanks + more, read.row.where));
      if (whole.size() <= item.prompt.tokens.size())
        return invalid_argument(read.row.where + ": choice " + letter(i) + " has no tokens");
      whole.erase(whole.begin(),
                  whole.begin() + static_cast<std::ptrdiff_t>(item.prompt.tokens.size()));
      item.continuations.push_back(std::move(whole));
      item.lengths.push_back(characters(trim(more)));
    }
    if (item.prompt.tokens.empty())
      return invalid_argument(read.row.where + ": the prompt has no tokens");
    return ok_status();
  }

  static size_t prompt_end(const std::string& text) {
    size_t end = text.size();
    while (end > 0 && is_space(text[end - 1])) --end;
    return end;
  }

  const Task& task_;
  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatTemplate& chat_template_;
  std::vector<Example> examples_;
};

// Results, likelihoods and comparisons belong to an id. `places` has the places of earlier ids.
Status add_id(const std::string& id, const std::string& where,
              std::map<std::string, std::string>& places) {
  const auto [earlier, is_new] = places.try_emplace(id, where);
  if (is_new) return ok_status();
  return invalid_argument(where + ": the id '" + id + "' is also that of " + earlier->second +
                          "; change the task's 'id' so that it differs in each row, or leave it "
                          "out to number the rows");
}

}  // namespace

Result<Items> load_items(const Task& task, const tokenizer::Tokenizer& tokenizer,
                         const tokenizer::ChatTemplate& chat_template, int max_sequence,
                         int max_rows) {
  Loader loader(task, tokenizer, chat_template);
  LS_RETURN_IF_ERROR(loader.begin());
  LS_ASSIGN_OR_RETURN(std::vector<Row> rows, datasets::read_rows(task.files));
  if (max_rows > 0 && rows.size() > static_cast<size_t>(max_rows))
    rows.resize(static_cast<size_t>(max_rows));
  Items out;
  std::map<std::string, std::string> places;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = rows[i].where;
    LS_ASSIGN_OR_RETURN(Item item, loader.item(std::move(rows[i]), i));
    LS_RETURN_IF_ERROR(add_id(item.prompt.id, where, places));
    size_t answer = item.continuations.empty() ? static_cast<size_t>(task.max_tokens) : 0;
    size_t together = 0;
    for (const auto& tokens : item.continuations) {
      answer = std::max(answer, tokens.size());
      together += tokens.size();
    }
    const size_t prompt = item.prompt.tokens.size();
    if (prompt + std::max<size_t>(answer, 2) > static_cast<size_t>(max_sequence)) {
      ++out.left_out;
      continue;
    }
    out.longest_prompt = std::max(out.longest_prompt, static_cast<int>(prompt));
    out.longest_answer = std::max(out.longest_answer, static_cast<int>(answer));
    out.prompt_tokens += static_cast<int64_t>(prompt);
    out.continuation_tokens += static_cast<int64_t>(together);
    out.items.push_back(std::move(item));
  }
  if (out.items.empty())
    return invalid_argument(fmt::format(
        "task '{}': no row fits the model's context of {} tokens{}", task.name, max_sequence,
        task.kind == TaskKind::generate
            ? fmt::format(" beside max_tokens = {}; give the task a smaller one", task.max_tokens)
            : ""));
  return out;
}

}  // namespace longshot::eval

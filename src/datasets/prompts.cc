#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <unordered_map>

#include "base/log.h"
#include "base/rng.h"
#include "datasets/prompts.h"
#include "datasets/rows.h"
#include "datasets/schema.h"

namespace longshot::datasets {
namespace {

constexpr std::array<const char*, 3> kAnswerColumns = {"ground_truth", "answer", "solution"};

// The member; nullptr if it is missing or null.
const Json* member(const Json& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Status check_form(const Row& row, const ColumnMapping& mapping) {
  LS_ASSIGN_OR_RETURN(const Schema schema, detect_schema(row, mapping.prompt));
  switch (schema) {
    case Schema::preference:
      return invalid_argument(row.where +
                              ": rows with 'chosen' and 'rejected' are preference pairs; " +
                              "`longshot rm` trains a reward model on them");
    case Schema::messages:
      return invalid_argument(row.where +
                              ": rows with 'messages' are for `longshot sft`; to use them as " +
                              "prompts give a 'prompt' column that ends with the user's turn");
    case Schema::text:
      return invalid_argument(row.where +
                              ": rows with only 'text' are for `longshot sft`; a prompt needs a '" +
                              mapping.prompt + "' column");
    default:
      return ok_status();
  }
}

Status parse_prompt_text(const Row& row, const ColumnMapping& mapping, data::Prompt& prompt,
                         tokenizer::Chat& chat) {
  const Json& value = row.json[mapping.prompt];
  const std::string place = row.where + ": '" + mapping.prompt + "'";
  if (value.is_string()) {
    prompt.text = value.get<std::string>();
    if (prompt.text.empty()) return invalid_argument(place + " is empty");
  } else {
    LS_ASSIGN_OR_RETURN(chat, parse_chat(ordered_column(row, mapping.prompt), place));
    prompt.messages.assign(chat.begin(), chat.end());
    if (prompt.messages.back().role == "assistant") {
      return invalid_argument(place + " ends with an assistant turn: nothing is left to answer");
    }
  }
  if (mapping.system_prompt.empty()) return ok_status();
  if (!prompt.messages.empty() && prompt.messages.front().role == "system") {
    return invalid_argument(place +
                            " has a system message of its own; leave out data.system_prompt "
                            "(--system)");
  }
  if (prompt.messages.empty()) prompt.messages.push_back({"user", std::exchange(prompt.text, "")});
  prompt.messages.insert(prompt.messages.begin(), {"system", mapping.system_prompt});
  if (!chat.empty()) chat.insert(chat.begin(), {prompt.messages.front()});
  return ok_status();
}

// The answer, and the top-level column it came from ("" if none was there).
struct Answer {
  const Json* value = nullptr;
  std::string column;
};

Result<Answer> find_answer(const Row& row, const ColumnMapping& mapping) {
  if (!mapping.ground_truth.empty()) {
    const Json* value = member(row.json, mapping.ground_truth);
    if (value == nullptr) {
      return invalid_argument(row.where + ": ground-truth column '" + mapping.ground_truth +
                              "' is missing");
    }
    return Answer{value, mapping.ground_truth};
  }
  if (const Json* model = member(row.json, "reward_model")) {
    if (const Json* value = member(*model, "ground_truth")) return Answer{value, "reward_model"};
    return invalid_argument(row.where + ": 'reward_model' has no 'ground_truth'");
  }
  for (const char* column : kAnswerColumns) {
    if (const Json* value = member(row.json, column)) return Answer{value, column};
  }
  return Answer{};
}

Result<double> find_difficulty(const Row& row, const ColumnMapping& mapping) {
  if (!mapping.difficulty.empty()) {
    return json_get<double>(row.json, mapping.difficulty, row.where);
  }
  const Json* extra = member(row.json, "extra_info");
  const Json* value = extra == nullptr ? nullptr : member(*extra, "difficulty");
  if (value == nullptr || !number_of(*value)) value = member(row.json, "difficulty");
  return value == nullptr ? 0.0 : number_of(*value).value_or(0.0);
}

// The members of extra_info, and every column that has no other place.
Result<Json> collect_extra(const Row& row, const ColumnMapping& mapping,
                           const std::string& answer_column) {
  Json extra = Json::object();
  if (const Json* given = member(row.json, "extra_info")) {
    if (!given->is_object())
      return invalid_argument(row.where + ": 'extra_info' must be an object");
    extra = *given;
  }
  for (const auto& [key, value] : row.json.items()) {
    const bool placed = key == mapping.prompt || key == mapping.data_source ||
                        key == "extra_info" || key == "reward_model" || key == answer_column;
    if (!placed && !extra.contains(key)) extra[key] = value;
  }
  return extra;
}

// The id that the row gives (`id`, else extra_info.index with its split), else a hash of the
// content.
Result<std::string> make_id(const Row& row, const data::Prompt& prompt) {
  const std::string source = prompt.data_source.empty() ? "" : prompt.data_source + "/";
  if (const Json* id = member(row.json, "id")) {
    LS_ASSIGN_OR_RETURN(const std::string text, text_of(*id, row.where + ": 'id'"));
    return source + text;
  }
  const Json* extra = member(row.json, "extra_info");
  if (const Json* index = extra == nullptr ? nullptr : member(*extra, "index")) {
    LS_ASSIGN_OR_RETURN(const std::string text,
                        text_of(*index, row.where + ": 'extra_info.index'"));
    const Json* split = member(*extra, "split");
    return source +
           (split != nullptr && split->is_string() ? split->get<std::string>() + "/" : "") + text;
  }
  uint64_t hash = hash_combine(hash64(prompt.text), hash64(prompt.ground_truth));
  for (const data::Message& m : prompt.messages) {
    hash = hash_combine(hash, hash_combine(hash64(m.role), hash64(m.content.text())));
  }
  if (prompt.extra_info.contains("chat_template"))
    hash = hash_combine(hash, hash64(dump_json(prompt.extra_info["chat_template"])));
  return fmt::format("{}{:016x}", source, hash);
}

// Makes ids unique: the second row of an id is ID#2, the third ID#3. An id depends only on the rows
// before it, so it stays when rows are appended. The data stored under it (success rates, the
// replay buffer) and the random numbers of its samples then stay with it.
class Names {
 public:
  std::string name(const std::string& id, const std::string& where) {
    const auto [first, fresh] = rows_.emplace(id, Seen{1, where});
    if (fresh) return id;
    if (repeated_++ == 0) example_ = fmt::format("{} repeats {}", where, first->second.where);
    std::string numbered;
    do numbered = fmt::format("{}#{}", id, ++first->second.count);
    while (rows_.contains(numbered));
    rows_.emplace(numbered, Seen{1, where});
    return numbered;
  }

  void warn(size_t rows) const {
    if (repeated_ == 0) return;
    log::warn(
        "{} of {} rows have the content or the id of an earlier row (the first: {}); each stays a "
        "problem of its own, and ID#2, ID#3, ... are their ids",
        repeated_, rows, example_);
  }

 private:
  struct Seen {
    int count;
    std::string where;
  };
  std::unordered_map<std::string, Seen> rows_;
  size_t repeated_ = 0;
  std::string example_;
};

struct ParsedRow {
  data::Prompt prompt;
  bool answered = false;
  bool is_text = false;
};

Result<ParsedRow> parse_row(const Row& row, const ColumnMapping& mapping) {
  LS_RETURN_IF_ERROR(check_form(row, mapping));
  ParsedRow out;
  tokenizer::Chat chat;
  LS_RETURN_IF_ERROR(parse_prompt_text(row, mapping, out.prompt, chat));
  out.is_text = chat.empty();
  LS_ASSIGN_OR_RETURN(out.answered, read_reward_columns(row, mapping, out.prompt));
  LS_ASSIGN_OR_RETURN(out.prompt.difficulty, find_difficulty(row, mapping));
  LS_ASSIGN_OR_RETURN(const std::string arguments, template_arguments_of(row));
  keep_template_data(chat, arguments, out.prompt);
  LS_ASSIGN_OR_RETURN(out.prompt.id, make_id(row, out.prompt));
  return out;
}

}  // namespace

Status check_system_prompt(const std::string& system_prompt, bool apply_chat_template) {
  if (system_prompt.empty() || apply_chat_template) return ok_status();
  return invalid_argument(
      "data.system_prompt (--system) turns every prompt into a chat, and "
      "data.apply_chat_template=false (--raw) leaves texts as they are: leave out one of the two");
}

Result<std::string> reference_of(const Row& row) {
  LS_ASSIGN_OR_RETURN(const Answer answer, find_answer(row, {}));
  if (answer.value == nullptr) return std::string();
  return text_of(*answer.value, row.where + ": ground truth");
}

Result<bool> read_reward_columns(const Row& row, const ColumnMapping& mapping,
                                 data::Prompt& prompt) {
  LS_ASSIGN_OR_RETURN(prompt.data_source,
                      json_get_or<std::string>(row.json, mapping.data_source, "", row.where));
  LS_ASSIGN_OR_RETURN(const Answer answer, find_answer(row, mapping));
  LS_ASSIGN_OR_RETURN(prompt.extra_info, collect_extra(row, mapping, answer.column));
  if (answer.value == nullptr) return false;
  LS_ASSIGN_OR_RETURN(prompt.ground_truth, text_of(*answer.value, row.where + ": ground truth"));
  if (!answer.value->is_string()) prompt.ground_truth_json = *answer.value;
  return true;
}

Result<data::Prompt> parse_prompt(const Row& row, const ColumnMapping& mapping) {
  LS_ASSIGN_OR_RETURN(ParsedRow parsed, parse_row(row, mapping));
  return std::move(parsed.prompt);
}

Result<std::vector<data::Prompt>> read_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& mapping, size_t* texts) {
  std::vector<data::Prompt> prompts;
  size_t plain = 0;
  Names names;
  std::string with_answer, without_answer;  // where such a row is
  LS_RETURN_IF_ERROR(for_each_row(files, [&](Row&& row) -> Status {
    LS_ASSIGN_OR_RETURN(ParsedRow parsed, parse_row(row, mapping));
    parsed.prompt.id = names.name(parsed.prompt.id, row.where);
    (parsed.answered ? with_answer : without_answer) = std::move(row.where);
    plain += parsed.is_text ? 1 : 0;
    prompts.push_back(std::move(parsed.prompt));
    return ok_status();
  }));
  if (prompts.empty())
    return invalid_argument(fmt::format("no rows in {}", fmt::join(files, ", ")));
  if (!with_answer.empty() && !without_answer.empty()) {
    return invalid_argument(
        fmt::format("{}: no ground truth (looked for "
                    "reward_model.ground_truth, ground_truth, "
                    "answer, solution), "
                    "while {} has one",
                    without_answer, with_answer));
  }
  names.warn(prompts.size());
  if (texts != nullptr) *texts = plain;
  return prompts;
}

}  // namespace longshot::datasets

#include "curate/samples/prompt_template.h"

#include <algorithm>

#include "base/os/fs.h"
#include "base/rng.h"
#include "base/text/text.h"
#include "curate/samples/judged_prompt.h"
#include "datasets/rows.h"
#include "datasets/schema.h"

namespace longshot::curate {
namespace {

constexpr uint64_t kExamplesStream = 0x6578616d706c6573;  // "examples"

// The place of the last user message; the size if there is none.
size_t last_user(const std::vector<data::Message>& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    if (messages[i].role == "user") return i;
  }
  return messages.size();
}

// The kept JSON of messages, by their place (datasets/schema.h); nullptr if the prompt has none.
Json* kept_messages(data::Prompt& prompt) {
  Json& extra = prompt.extra_info;
  const auto kept = extra.is_object() ? extra.find("chat_template") : extra.end();
  if (kept == extra.end() || !datasets::is_template_data(*kept)) return nullptr;
  return &(*kept)["messages"];
}

Result<std::string> text_at(const Json& row, const char* key, const std::string& where) {
  const Json& value = row.at(key);
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array() || value.empty())
    return invalid_argument(where + ": key '" + key + "' is neither a text nor a list of messages");
  LS_ASSIGN_OR_RETURN(const data::Message last,
                      data::message_from_json(value.back(), where + ": key '" + key + "'"));
  return last.content.text();
}

bool has(const Json& row, const char* key) {
  return row.contains(key) && !row.at(key).is_null();
}

Result<SolvedExample> example_of_messages(const Json& row, const std::string& where) {
  std::vector<data::Message> messages;
  for (const Json& item : row["messages"].is_array() ? row["messages"] : Json::array()) {
    LS_ASSIGN_OR_RETURN(data::Message message,
                        data::message_from_json(item, where + ": key 'messages'"));
    messages.push_back(std::move(message));
  }
  if (messages.size() < 2 || messages.back().role != "assistant")
    return invalid_argument(where + ": key 'messages' does not end with an assistant's turn");
  return SolvedExample{messages[messages.size() - 2].content.text(),
                       messages.back().content.text()};
}

Result<SolvedExample> example_of(const datasets::Row& row) {
  const Json& json = row.json;
  if (has(json, "samples")) {
    LS_ASSIGN_OR_RETURN(const JudgedPrompt prompt, judged_prompt_from_json(json, row.where));
    const auto right = std::find_if(prompt.samples.begin(), prompt.samples.end(),
                                    [](const JudgedSample& sample) { return sample.correct; });
    return SolvedExample{problem_text(prompt),
                         right == prompt.samples.end() ? "" : right->response};
  }
  if (has(json, "messages")) return example_of_messages(json, row.where);
  if (!has(json, "prompt")) return invalid_argument(row.where + ": key 'prompt' is missing");
  SolvedExample example;
  LS_ASSIGN_OR_RETURN(example.problem, text_at(json, "prompt", row.where));
  for (const char* key : {"completion", "response", "solution", "answer"}) {
    if (!has(json, key)) continue;
    LS_ASSIGN_OR_RETURN(example.solution, text_at(json, key, row.where));
    return example;
  }
  return invalid_argument(row.where +
                          ": a solved example needs one of the keys 'completion', 'response', "
                          "'solution', 'answer', 'messages', 'samples'");
}

}  // namespace

std::string problem_text(const data::Prompt& prompt) {
  if (prompt.messages.empty()) return prompt.text;
  const size_t user = last_user(prompt.messages);
  return user == prompt.messages.size() ? "" : prompt.messages[user].content.text();
}

Result<std::vector<SolvedExample>> read_examples(const std::vector<std::string>& files) {
  std::vector<SolvedExample> examples;
  LS_RETURN_IF_ERROR(datasets::for_each_row(files, [&](datasets::Row&& row) -> Status {
    LS_ASSIGN_OR_RETURN(SolvedExample example, example_of(row));
    if (!example.solution.empty()) examples.push_back(std::move(example));
    return ok_status();
  }));
  if (examples.empty()) return invalid_argument("--examples: the files have no solved example");
  return examples;
}

std::vector<SolvedExample> choose_examples(const std::vector<SolvedExample>& examples, int count,
                                           uint64_t seed, const data::Prompt& prompt) {
  const std::string problem(trim(problem_text(prompt)));
  std::vector<size_t> order;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (trim(examples[i].problem) != problem) order.push_back(i);
  }
  CounterRng rng(hash_combine(hash_combine(seed, kExamplesStream), hash64(prompt.id)));
  std::vector<SolvedExample> chosen;
  while (!order.empty() && chosen.size() < static_cast<size_t>(count)) {
    const size_t at = rng.next_below(order.size());
    chosen.push_back(examples[order[at]]);
    order.erase(order.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return chosen;
}

std::string format_examples(const std::vector<SolvedExample>& examples) {
  std::string text;
  for (const SolvedExample& example : examples) {
    if (!text.empty()) text += "\n\n";
    text += "Problem:\n" + std::string(trim(example.problem)) + "\n\nSolution:\n" +
            std::string(trim(example.solution));
  }
  return text;
}

Result<PromptTemplate> PromptTemplate::parse(std::string text, const std::string& where) {
  const size_t at = text.find(kProblem);
  if (at == std::string::npos)
    return invalid_argument(where + ": the placeholder {problem} is missing");
  if (text.find(kProblem, at + 1) != std::string::npos)
    return invalid_argument(where + ": the placeholder {problem} occurs twice");
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return PromptTemplate(std::move(text));
}

Result<PromptTemplate> PromptTemplate::load(const std::string& path) {
  LS_ASSIGN_OR_RETURN(std::string text, read_file(path));
  return parse(std::move(text), path);
}

// Placeholders inside the problem or the examples are kept as they are.
std::string PromptTemplate::fill(const std::string& problem, const std::string& examples) const {
  std::string filled;
  for (size_t i = 0; i < text_.size();) {
    if (text_.compare(i, std::string_view(kProblem).size(), kProblem) == 0) {
      filled += problem;
      i += std::string_view(kProblem).size();
    } else if (text_.compare(i, std::string_view(kExamples).size(), kExamples) == 0) {
      filled += examples;
      i += std::string_view(kExamples).size();
    } else {
      filled += text_[i++];
    }
  }
  return filled;
}

Result<data::Prompt> PromptTemplate::apply(const data::Prompt& prompt,
                                           const std::vector<SolvedExample>& examples) const {
  const std::string filled = fill(problem_text(prompt), format_examples(examples));
  data::Prompt asked = prompt;
  if (prompt.messages.empty()) {
    asked.text = filled;
    return asked;
  }
  const size_t user = last_user(prompt.messages);
  if (user == prompt.messages.size())
    return invalid_argument("prompt " + prompt.id + " has no user message for the template");
  asked.messages[user].content = filled;
  // The kept JSON of a message would replace its new text.
  if (Json* kept = kept_messages(asked)) kept->erase(std::to_string(user));
  return asked;
}

Result<data::Prompt> with_system(data::Prompt prompt, const std::string& system) {
  if (system.empty()) return prompt;
  if (!prompt.messages.empty() && prompt.messages.front().role == "system")
    return invalid_argument("prompt " + prompt.id + " has a system message of its own; --system " +
                            "cannot be used with it");
  if (prompt.messages.empty()) prompt.messages.push_back({"user", std::move(prompt.text)});
  prompt.text.clear();
  prompt.messages.insert(prompt.messages.begin(), {"system", system});
  Json* kept = kept_messages(prompt);
  if (kept == nullptr) return prompt;
  Json shifted = Json::object();
  for (const auto& [place, message] : kept->items())
    shifted[std::to_string(std::stoul(place) + 1)] = message;
  *kept = std::move(shifted);
  return prompt;
}

}  // namespace longshot::curate

#include "curate/select/training_rows.h"

#include <cstdlib>

#include "datasets/schema.h"

namespace longshot::curate {
namespace {

// The input of a chat template other than roles and texts; datasets/schema.h keeps it as texts.
// The result is null if there is none; a user's own column of that name is not taken for it.
Json template_data(const JudgedPrompt& prompt, const char* key) {
  const Json& extra = prompt.extra_info;
  const auto kept = extra.is_object() ? extra.find("chat_template") : extra.end();
  return kept != extra.end() && datasets::is_template_data(*kept) ? kept->at(key) : Json();
}

OrderedJson parsed_text(const Json& text) {
  const auto json = parse_ordered_json(text.get<std::string>(), "extra_info.chat_template");
  return json.ok() ? *json : OrderedJson();
}

OrderedJson row_of(const JudgedPrompt& prompt) {
  OrderedJson row = {{"prompt", prompt_json(prompt)}};
  const Json kept = template_data(prompt, "messages");
  for (const auto& [place, text] : kept.items()) {
    const size_t i = static_cast<size_t>(std::strtoull(place.c_str(), nullptr, 10));
    if (i < prompt.messages.size()) row["prompt"][i] = parsed_text(text);
  }
  return row;
}

OrderedJson answer_of(const JudgedPrompt& prompt, const JudgedSample& sample) {
  if (prompt.messages.empty()) return sample.response;
  return OrderedJson::array({data::to_json(data::Message{"assistant", sample.response})});
}

void add_origin(const JudgedPrompt& prompt, OrderedJson& row) {
  const Json arguments = template_data(prompt, "arguments");
  if (arguments.is_string() && !arguments.get<std::string>().empty())
    row["chat_template_kwargs"] = parsed_text(arguments);
  row["id"] = prompt.id;
  row["data_source"] = prompt.data_source;
}

OrderedJson score_of(const JudgedSample& sample) {
  return sample.score ? OrderedJson(*sample.score) : OrderedJson();
}

}  // namespace

OrderedJson response_row(const JudgedPrompt& prompt, const JudgedSample& sample) {
  OrderedJson row = row_of(prompt);
  row["completion"] = answer_of(prompt, sample);
  add_origin(prompt, row);
  row["index"] = sample.index;
  row["score"] = score_of(sample);
  row["tokens"] = sample.tokens;
  return row;
}

OrderedJson pair_row(const JudgedPrompt& prompt, const JudgedSample& chosen,
                     const JudgedSample& rejected) {
  OrderedJson row = row_of(prompt);
  row["chosen"] = answer_of(prompt, chosen);
  row["rejected"] = answer_of(prompt, rejected);
  add_origin(prompt, row);
  row["chosen_index"] = chosen.index;
  row["rejected_index"] = rejected.index;
  row["chosen_score"] = score_of(chosen);
  row["rejected_score"] = score_of(rejected);
  row["chosen_tokens"] = chosen.tokens;
  row["rejected_tokens"] = rejected.tokens;
  row["rejected_correct"] = rejected.correct;
  return row;
}

}  // namespace longshot::curate

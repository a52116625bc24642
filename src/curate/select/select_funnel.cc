#include "curate/select/select_funnel.h"

#include <fmt/format.h>

#include "base/progress_line.h"

namespace longshot::curate {
namespace {

constexpr size_t kExamples = 3;
constexpr size_t kExampleBytes = 300;

}  // namespace

void SelectFunnel::add_example(const JudgedPrompt& prompt, const Drop& drop) {
  OrderedJson& examples = examples_.try_emplace(drop.reason, OrderedJson::array()).first->second;
  if (examples.size() >= kExamples) return;
  const JudgedSample& sample = prompt.samples[drop.sample];
  OrderedJson example = {{"id", prompt.id}, {"index", sample.index}};
  if (!sample.error.empty()) {
    example["error"] = sample.error.substr(0, kExampleBytes);
  } else {
    example["response"] = sample.response.substr(0, kExampleBytes);
  }
  examples.push_back(std::move(example));
}

void SelectFunnel::add(const JudgedPrompt& prompt, const Selection& selection) {
  ++prompts_;
  samples_ += static_cast<int64_t>(prompt.samples.size());
  const auto rows = static_cast<int64_t>(selection.responses.size() + selection.pairs.size());
  rows_ += rows;
  with_rows_ += rows > 0 ? 1 : 0;
  std::vector<bool> used(prompt.samples.size(), true);
  for (const Drop& drop : selection.drops) {
    used[drop.sample] = false;
    ++dropped_[drop.reason];
    add_example(prompt, drop);
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    ++used_;
    if (prompt.samples[i].tokens > 0) tokens_.add(static_cast<double>(prompt.samples[i].tokens));
  }
}

OrderedJson SelectFunnel::to_json() const {
  OrderedJson json = {{"prompts", prompts_},
                      {"prompts_with_rows", with_rows_},
                      {"samples", samples_},
                      {"samples_used", used_},
                      {"rows", rows_}};
  if (tokens_.count() > 0) json["mean_tokens_used"] = tokens_.mean();
  json["dropped"] = OrderedJson::object();
  json["examples"] = OrderedJson::object();
  for (const DropReason reason : all_of<DropReason>()) {
    const auto count = dropped_.find(reason);
    if (count == dropped_.end()) continue;
    json["dropped"][name_of(reason)] = count->second;
    json["examples"][name_of(reason)] = examples_.at(reason);
  }
  return json;
}

std::string SelectFunnel::to_text() const {
  std::string text = fmt::format("prompts      {}\nsamples      {}\n", with_commas(prompts_),
                                 with_commas(samples_));
  for (const DropReason reason : all_of<DropReason>()) {
    const auto count = dropped_.find(reason);
    if (count != dropped_.end())
      text += fmt::format("  - {:<10} {}\n", name_of(reason), with_commas(count->second));
  }
  text += fmt::format(
      "used         {}{}\n", with_commas(used_),
      tokens_.count() == 0 ? "" : fmt::format(", {:.1f} tokens on average", tokens_.mean()));
  return text + fmt::format("rows         {} of {} prompts\n", with_commas(rows_),
                            with_commas(with_rows_));
}

}  // namespace longshot::curate

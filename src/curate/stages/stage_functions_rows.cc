// The stages that judge each row by itself.

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "curate/filters/problem_format.h"
#include "curate/filters/tags.h"
#include "curate/stages/stage_functions.h"
#include "curate/text/words.h"

namespace longshot::curate {
namespace {

using VotedTags = std::map<uint64_t, std::vector<std::string>>;  // by hash of the id

Result<VotedTags> read_voted_tags(const TagOptions& options) {
  VotedTags voted;
  if (options.samples.empty()) return voted;
  LS_RETURN_IF_ERROR(for_each_judged({options.samples}, [&](JudgedPrompt&& prompt) {
    std::vector<std::string> answers;
    for (const JudgedSample& sample : prompt.samples) {
      if (sample.error.empty())
        answers.push_back(sample.answer.empty() ? sample.response : sample.answer);
    }
    voted[hash64(prompt.id)] = voted_tags(answers, options.allowed);
    return ok_status();
  }));
  return voted;
}

}  // namespace

Result<OrderedJson> run_normalize(const StageContext& context, DecisionWriter& writer) {
  const CurateOptions& options = context.options;
  const auto judge = [&](size_t, const OrderedJson& line) -> Result<OrderedJson> {
    const OrderedJson& row = line["row"];
    const std::string text = text_of_row(row);
    if (text.empty()) return OrderedJson{{"reason", "empty"}};
    if (options.require_answer && answer_of_row(row).empty())
      return OrderedJson{{"reason", "no_answer"}};
    if (options.max_words > 0) {
      const size_t words = count_words(comparison_words(text));
      if (words > static_cast<size_t>(options.max_words))
        return OrderedJson{{"reason", "too_long"}, {"details", {{"words", words}}}};
    }
    return OrderedJson();
  };
  LS_RETURN_IF_ERROR(for_each_kept_row(context, judge, [&](size_t row, const OrderedJson& found) {
    if (found.is_null()) return ok_status();
    return writer.drop(row, found["reason"], found.value("details", OrderedJson()));
  }));
  return OrderedJson::object();
}

Result<OrderedJson> run_format(const StageContext& context, DecisionWriter& writer) {
  const FormatFinder finder;
  const auto& dropped = context.options.drop_formats;
  const auto judge = [&](size_t, const OrderedJson& line) -> Result<OrderedJson> {
    const OrderedJson& row = line["row"];
    LS_ASSIGN_OR_RETURN(const FoundFormat found, finder.find(text_of_row(row), answer_of_row(row)));
    const std::string name = name_of(found.format);
    if (std::find(dropped.begin(), dropped.end(), name) == dropped.end()) return OrderedJson();
    return OrderedJson{{"reason", name}, {"words", found.words}};
  };
  LS_RETURN_IF_ERROR(for_each_kept_row(context, judge, [&](size_t row, const OrderedJson& found) {
    if (found.is_null()) return ok_status();
    return writer.drop(row, found["reason"], {{"words", found["words"]}});
  }));
  return OrderedJson::object();
}

Result<OrderedJson> run_tags(const StageContext& context, DecisionWriter& writer) {
  LS_ASSIGN_OR_RETURN(const Tagger tagger, Tagger::create(context.options.tags));
  LS_ASSIGN_OR_RETURN(const VotedTags voted, read_voted_tags(context.options.tags));
  std::map<std::string, int64_t> counts;
  int64_t untagged = 0;
  const auto judge = [&](size_t, const OrderedJson& line) -> Result<OrderedJson> {
    const OrderedJson& row = line["row"];
    LS_ASSIGN_OR_RETURN(auto tags, tagger.tags_of(row, text_of_row(row)));
    const auto more = voted.find(hash64(full_id(row)));
    if (more != voted.end()) tags.insert(tags.end(), more->second.begin(), more->second.end());
    return OrderedJson(tags);
  };
  LS_RETURN_IF_ERROR(for_each_kept_row(context, judge, [&](size_t row, const OrderedJson& tags) {
    untagged += tags.empty();
    for (const auto& tag : tags) ++counts[tag.get<std::string>()];
    return writer.set(row, {{"tags", tags}});
  }));
  return OrderedJson{{"tags", counts}, {"untagged", untagged}};
}

}  // namespace longshot::curate

#include "curate/filters/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text/text.h"

namespace longshot::curate {
namespace {

void add_once(std::vector<std::string>& tags, std::string tag) {
  if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(std::move(tag));
}

std::string text_of(const OrderedJson& value) {
  return value.is_string() ? std::string(trim(value.get<std::string>())) : dump_json(value);
}

const OrderedJson* find_column(const OrderedJson& row, const std::string& column) {
  if (const auto found = row.find(column); found != row.end() && !found->is_null()) return &*found;
  const auto extra = row.find("extra_info");
  if (extra == row.end() || !extra->is_object()) return nullptr;
  const auto found = extra->find(column);
  return found == extra->end() || found->is_null() ? nullptr : &*found;
}

Status check_rule(const Json& rule, size_t index) {
  const std::string where = fmt::format("tags.rules[{}]", index);
  if (!rule.is_object()) return invalid_argument(where + " must be a table {tag, pattern}");
  for (const auto& [key, value] : rule.items()) {
    if (key != "tag" && key != "pattern")
      return invalid_argument(fmt::format("{}: key '{}' is not one of tag, pattern", where, key));
  }
  LS_ASSIGN_OR_RETURN(const auto tag, json_get<std::string>(rule, "tag", where));
  LS_ASSIGN_OR_RETURN(const auto pattern, json_get<std::string>(rule, "pattern", where));
  if (tag.empty()) return invalid_argument(where + ": the tag is empty");
  return reward::Regex::compile(pattern, false).status().with_context(where);
}

}  // namespace

Status check_tag_rules(const Json& rules) {
  if (!rules.is_array()) return invalid_argument("tags.rules must be a list of {tag, pattern}");
  for (size_t i = 0; i < rules.size(); ++i) LS_RETURN_IF_ERROR(check_rule(rules[i], i));
  return ok_status();
}

Result<Tagger> Tagger::create(const TagOptions& options) {
  LS_RETURN_IF_ERROR(check_tag_rules(options.rules));
  Tagger tagger;
  tagger.columns_ = options.columns;
  for (const Json& rule : options.rules) {
    LS_ASSIGN_OR_RETURN(auto pattern,
                        reward::Regex::compile(rule["pattern"].get<std::string>(), false));
    tagger.rules_.push_back({rule["tag"].get<std::string>(), std::move(pattern)});
  }
  return tagger;
}

Result<std::vector<std::string>> Tagger::tags_of(const OrderedJson& row,
                                                 std::string_view problem) const {
  std::vector<std::string> tags;
  for (const std::string& column : columns_) {
    const OrderedJson* value = find_column(row, column);
    if (value == nullptr) continue;
    const OrderedJson list = value->is_array() ? *value : OrderedJson::array({*value});
    for (const OrderedJson& item : list) add_once(tags, column + ":" + text_of(item));
  }
  for (const Rule& rule : rules_) {
    LS_ASSIGN_OR_RETURN(const auto match, rule.pattern.search(problem));
    if (match) add_once(tags, rule.tag);
  }
  return tags;
}

std::vector<std::string> voted_tags(const std::vector<std::string>& answers,
                                    const std::vector<std::string>& allowed) {
  std::map<std::string, size_t> votes;
  for (const std::string& answer : answers) {
    std::vector<std::string> given;
    for (size_t at = 0; at < answer.size();) {
      const size_t end = std::min(answer.find_first_of(",\n", at), answer.size());
      const std::string tag = to_lower(trim(std::string_view(answer).substr(at, end - at)));
      at = end + 1;
      if (!tag.empty()) add_once(given, tag);
    }
    for (const std::string& tag : given) ++votes[tag];
  }
  std::vector<std::string> tags;
  for (const auto& [tag, count] : votes) {
    const bool fits =
        allowed.empty() || std::find(allowed.begin(), allowed.end(), tag) != allowed.end();
    if (fits && 2 * count > answers.size()) tags.push_back(tag);
  }
  return tags;
}

}  // namespace longshot::curate

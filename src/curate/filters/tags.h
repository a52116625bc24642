#pragma once
// Tags of problems: what balancing and later analysis group them by.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "reward/rules/regex.h"

namespace longshot::curate {

struct TagOptions {
  std::vector<std::string> columns;  // of the row or of its extra_info; the tag is COLUMN:VALUE
  Json rules = Json::array();        // [{"tag", "pattern"}]; PCRE2, searched in the problem
  std::string samples;               // samples.jsonl whose answers are tags
  std::vector<std::string> allowed;  // tags that a model may give; empty: any
};

// Thread-safe.
class Tagger {
 public:
  // invalid_argument that names the rule that is not a tag and a valid pattern.
  static Result<Tagger> create(const TagOptions& options);

  // The tags of columns in their order, then those of rules that match, each once. A column whose
  // value is a list gives a tag for each element; null gives none.
  Result<std::vector<std::string>> tags_of(const OrderedJson& row, std::string_view problem) const;

 private:
  struct Rule {
    std::string tag;
    reward::Regex pattern;
  };
  std::vector<std::string> columns_;
  std::vector<Rule> rules_;
};

// Checks the form of tags.rules.
Status check_tag_rules(const Json& rules);

// The tags in the answers of a model: separated by commas or line feeds, in lower case. A tag is
// kept if more than half of the answers give it and it is allowed.
std::vector<std::string> voted_tags(const std::vector<std::string>& answers,
                                    const std::vector<std::string>& allowed);

}  // namespace longshot::curate

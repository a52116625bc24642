#include "curate/tests/wording.h"

#include <vector>

#include "base/check.h"
#include "reward/rules/regex.h"

namespace longshot::curate {
namespace {

// A sentence consists of [^.!?\n] and of dots within numbers.
#define WITHIN R"((?:[^.!?\n]|\.\d){0,80}?)"
#define SAY R"(\b(?:print|output|write|display|report|find|give|return|construct|provide|choose)\b)"
#define ANSWERS R"((?:answers?|solutions?|outputs?|sequences?|permutations?|ways|arrangements?))"

const std::vector<reward::Regex>& patterns() {
  static const std::vector<reward::Regex>* const compiled = [] {
    auto* list = new std::vector<reward::Regex>;  // never freed: used until the process ends
    for (
        const char* pattern : {
            SAY WITHIN R"(\b(?:any|one)\s+of\s+(?:them|these|those)\b)",
            SAY
            R"((?:\s+\w+){0,3}?\s+(?:any|an arbitrary)\s+(?:one|valid|possible|suitable|such|correct|optimal|appropriate)\b)",
            SAY WITHIN R"(\bany\s+(?:single\s+)?)" ANSWERS R"(\b)",
            SAY WITHIN R"(\bin\s+(?:any|an arbitrary)\s+order\b)",
            R"(\bif\s+there\s+(?:are|is|exist)\s+(?:multiple|several|many|more\s+than\s+one)(?:\s+\w+){0,3}\s+)" ANSWERS
            R"(\b)",
            R"(\b(?:multiple|several|different)\s+(?:\w+\s+){0,2})" ANSWERS
            R"(\s+(?:are|is|may\s+be|will\s+be|can\s+be)\s+(?:accepted|possible|allowed)\b)",
            R"(\b(?:absolute|relative)\s+(?:(?:or|and)\s+(?:absolute|relative)\s+)?error\b)",
            R"(\b(?:considered|accepted|judged)\s+(?:as\s+|to\s+be\s+)?correct\s+if\b)",
            R"(\b(?:letters?|characters?|answer|yes|no)\b)" WITHIN
            R"(\bin\s+any\s+(?:case|register)\b)",
            R"(\bspecial\s+(?:judge|checker)\b|\b(?:custom|checker|judge)\s+(?:checker|program)\b|\binteractive\s+(?:problem|task)\b)",
        }) {
      auto regex = reward::Regex::compile(std::string("(?i)(") + pattern + ")", false);
      LS_CHECK(regex.ok(), regex.status().message());
      list->push_back(std::move(*regex));
    }
    return list;
  }();
  return *compiled;
}

#undef ANSWERS
#undef SAY
#undef WITHIN

}  // namespace

std::optional<std::string> special_judge_words(const std::string& statement) {
  for (const auto& pattern : patterns()) {
    // If matching takes too many steps, the statement is treated as one without the known words.
    const auto match = pattern.search(statement);
    if (match.ok() && *match)
      return statement.substr((*match)->begin, (*match)->end - (*match)->begin);
  }
  return std::nullopt;
}

}  // namespace longshot::curate

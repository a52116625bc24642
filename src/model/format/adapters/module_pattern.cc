#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/format/adapters/module_pattern.h"

#include <fmt/format.h>
#include <pcre2.h>

namespace longshot::model {

struct ModulePattern::Code {
  explicit Code(pcre2_code* c) : compiled(c) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(compiled); }
  pcre2_code* compiled;
};

namespace {

constexpr uint32_t kMatchLimit = 1'000'000;

std::string whole_expression(const std::string& expression, ModulePattern::Match match) {
  if (match == ModulePattern::Match::ending) return "(?:.*\\.)?(?:" + expression + ")";
  if (match == ModulePattern::Match::part) return "(?:.*\\.)?" + expression + "(?:\\..*)?";
  return "(?:" + expression + ")";
}

}  // namespace

Result<ModulePattern> ModulePattern::compile(const std::string& expression, Match match,
                                             const std::string& where) {
  const std::string text = whole_expression(expression, match);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &error, &offset, nullptr);
  if (code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return invalid_argument(fmt::format("{}: '{}' is not a regular expression: {}", where,
                                        expression, reinterpret_cast<const char*>(message)));
  }
  ModulePattern pattern;
  pattern.expression_ = expression;
  pattern.where_ = where;
  pattern.code_ = std::make_shared<const Code>(code);
  return pattern;
}

Result<bool> ModulePattern::matches(const std::string& module) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
      pcre2_match_data_create_from_pattern(code_->compiled, nullptr), pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
      pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMatchLimit);
  const int found = pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(module.data()),
                                module.size(), 0, 0, data.get(), context.get());
  if (found >= 0) return true;
  if (found == PCRE2_ERROR_NOMATCH) return false;
  return invalid_argument(fmt::format("{}: '{}' takes too long to compare with the module {}",
                                      where_, expression_, module));
}

}  // namespace longshot::model

#define PCRE2_CODE_UNIT_WIDTH 8
#include "reward/rules/regex.h"

#include <pcre2.h>

namespace longshot::reward {
namespace {

constexpr uint32_t kMatchLimit = 2'000'000;
constexpr uint32_t kDepthLimit = 100'000;
constexpr uint32_t kHeapLimitKb = 64 * 1024;

std::string pcre_message(int code) {
  unsigned char text[200];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;
using MatchContext = std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)>;

MatchContext limited_context() {
  MatchContext context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_depth_limit(context.get(), kDepthLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKb);
  return context;
}

}  // namespace

Result<Regex> Regex::compile(const std::string& pattern, bool whole_text) {
  int code = 0;
  size_t offset = 0;
  const uint32_t flags =
      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (whole_text ? PCRE2_ANCHORED | PCRE2_ENDANCHORED : 0u);
  auto* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                 flags, &code, &offset, nullptr);
  if (compiled == nullptr) {
    return invalid_argument("pattern '" + pattern + "': " + pcre_message(code) + " at byte " +
                            std::to_string(offset));
  }
  // Without JIT support, matching is interpreted.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
  Regex out;
  out.pattern_ = pattern;
  out.code_ = std::shared_ptr<void>(compiled,
                                    [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  return out;
}

Result<std::optional<Regex::Match>> Regex::search(std::string_view text, size_t from) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), pcre2_match_data_free);
  const MatchContext context = limited_context();
  const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0,
                             data.get(), context.get());
  if (rc == PCRE2_ERROR_NOMATCH) return std::optional<Match>();
  if (rc < 0)
    return internal_error("pattern '" + pattern_ + "' on this response: " + pcre_message(rc));
  const size_t* spans = pcre2_get_ovector_pointer(data.get());
  Match match{spans[0], spans[1], text.substr(spans[0], spans[1] - spans[0])};
  if (rc > 1 && spans[2] != PCRE2_UNSET) match.group = text.substr(spans[2], spans[3] - spans[2]);
  return std::optional<Match>(match);
}

Result<std::vector<Regex::Match>> Regex::find_all(std::string_view text) const {
  std::vector<Match> all;
  for (size_t from = 0; from <= text.size();) {
    LS_ASSIGN_OR_RETURN(const auto match, search(text, from));
    if (!match) break;
    all.push_back(*match);
    from = match->end;
    if (match->end > match->begin) continue;
    do ++from;  // an empty match: continue after the next character
    while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80);
  }
  return all;
}

Result<std::string> Regex::replace_all(std::string_view text, std::string_view replacement) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const MatchContext context = limited_context();
  std::string out(2 * text.size() + 64, '\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    size_t size = out.size();
    const int rc =
        pcre2_substitute(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                         PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH, nullptr,
                         context.get(), reinterpret_cast<PCRE2_SPTR>(replacement.data()),
                         replacement.size(), reinterpret_cast<PCRE2_UCHAR*>(out.data()), &size);
    out.resize(size);
    if (rc >= 0) return out;
    if (rc != PCRE2_ERROR_NOMEMORY)
      return internal_error("pattern '" + pattern_ + "' on this response: " + pcre_message(rc));
  }
  return internal_error("pattern '" + pattern_ + "': the replaced text is too long");
}

}  // namespace longshot::reward

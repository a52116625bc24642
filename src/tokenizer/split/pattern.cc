#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/split/pattern.h"

#include <pcre2.h>

#include "base/log.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {

struct Pattern::Code {
  explicit Code(pcre2_code* c) : compiled(c) {}
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() { pcre2_code_free(compiled); }
  pcre2_code* compiled;
};

namespace {

// For the interpreter, which is used if the JIT stack is too small.
constexpr uint32_t kHeapLimitKib = 1 << 20;

// The scratch memory of one split() call.
class Matcher {
 public:
  explicit Matcher(const pcre2_code* code)
      : code_(code),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    pcre2_set_match_limit(context_, 1u << 30);
    pcre2_set_heap_limit(context_, kHeapLimitKib);
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;
  ~Matcher() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
  }

  // The first match at or after `from`.
  bool find(std::string_view text, size_t from, size_t& begin, size_t& end) {
    int rc = match(text, from, PCRE2_NO_UTF_CHECK);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = match(text, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (rc < 0) {
      if (rc != PCRE2_ERROR_NOMATCH) {
        log::error(
            "pre-tokenizer pattern gave up (PCRE2 error {}); the rest of the text stays one piece",
            rc);
      }
      return false;
    }
    const size_t* offsets = pcre2_get_ovector_pointer(data_);
    begin = offsets[0];
    end = offsets[1];
    return true;
  }

 private:
  int match(std::string_view text, size_t from, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, options,
                       data_, context_);
  }

  const pcre2_code* code_;
  pcre2_match_data* data_;
  pcre2_match_context* context_;
};

Result<pcre2_code*> compile_pcre2(const std::string& pattern, uint32_t options,
                                  const std::string& shown) {
  int error = 0;
  size_t offset = 0;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options, &error, &offset, context);
  pcre2_compile_context_free(context);
  if (code == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    return invalid_argument("pattern '" + shown + "': " + reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without JIT support the interpreter is used
  return code;
}

}  // namespace

Result<Pattern> Pattern::compile(const std::string& oniguruma) {
  LS_ASSIGN_OR_RETURN(const std::string translated, translate_pattern(oniguruma));
  LS_ASSIGN_OR_RETURN(
      pcre2_code * code,
      compile_pcre2(translated, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, oniguruma));
  Pattern pattern;
  pattern.code_ = std::make_shared<const Code>(code);
  return pattern;
}

Result<Pattern> Pattern::of_step(const Json& step, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json pattern, json_get<Json>(step, "pattern", where));
  const bool regex = pattern.is_object() && pattern.contains("Regex");
  LS_ASSIGN_OR_RETURN(
      const std::string text,
      json_get<std::string>(pattern, regex ? "Regex" : "String", where + ": pattern"));
  auto compiled = regex ? compile(text) : literal(text);
  if (!compiled.ok()) return compiled.status().with_context(where);
  return compiled;
}

Result<Pattern> Pattern::literal(const std::string& text) {
  LS_ASSIGN_OR_RETURN(pcre2_code * code, compile_pcre2(text, PCRE2_UTF | PCRE2_LITERAL, text));
  Pattern pattern;
  pattern.code_ = std::make_shared<const Code>(code);
  return pattern;
}

// An empty match directly after the last match is refused, and the search advances by one
// character.
void Pattern::split(std::string_view text, std::vector<PatternPart>& parts) const {
  parts.clear();
  Matcher matcher(code_->compiled);
  size_t covered = 0;
  size_t from = 0;
  bool matched_before = false;
  size_t begin = 0;
  size_t end = 0;
  while (from <= text.size() && matcher.find(text, from, begin, end)) {
    if (begin == end && matched_before && end == covered) {
      from += from < text.size() ? code_point_at(text, from).length : 1;
      continue;
    }
    if (begin > covered) parts.push_back({covered, begin, false});
    parts.push_back({begin, end, true});
    covered = end;
    from = end;
    matched_before = true;
  }
  if (covered < text.size()) parts.push_back({covered, text.size(), false});
}

}  // namespace longshot::tokenizer

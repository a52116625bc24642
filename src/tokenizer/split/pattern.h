#pragma once
// Regular expressions of pre-tokenizers. tokenizer.json contains them in Oniguruma's syntax; they
// are translated to PCRE2 and matched with its JIT compiler. Constructs with a different meaning in
// PCRE2 are refused.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::tokenizer {

// The part [begin, end) of a text: a match of the pattern, or the gap between two matches.
struct PatternPart {
  size_t begin = 0;
  size_t end = 0;
  bool matched = false;
};

// The same expression in PCRE2's syntax, for PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE and newline
// LF.
Result<std::string> translate_pattern(const std::string& oniguruma);

// Immutable after compile(); thread-safe.
class Pattern {
 public:
  static Result<Pattern> compile(const std::string& oniguruma);
  static Result<Pattern> literal(const std::string& text);  // matches exactly this text
  // Reads the key `pattern` of a step of tokenizer.json: {"Regex": ...} or {"String": ...}.
  static Result<Pattern> of_step(const Json& step, const std::string& where);

  // Replaces `parts` by the matches and the gaps between them, which together cover the text.
  // Matches may be empty. The text must be valid UTF-8.
  void split(std::string_view text, std::vector<PatternPart>& parts) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace longshot::tokenizer

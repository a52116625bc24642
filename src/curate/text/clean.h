#pragma once
// Cleans the texts of problems and answers without changing their meaning. Pure and thread-safe.

#include <string>
#include <string_view>

#include "base/spelling.h"

namespace longshot::curate {

// The Unicode form of the texts that are written. nfkc also replaces look-alikes, and so turns x²
// into x2; nfc does not.
enum class TextForm { none, nfc, nfkc };

constexpr auto spellings(TextForm) {
  using enum TextForm;
  return std::to_array<Spelling<TextForm>>({{none, "none"}, {nfc, "nfc"}, {nfkc, "nfkc"}});
}

// Repairs invalid UTF-8, applies the Unicode form, removes invisible characters (byte order marks,
// zero-width spaces, soft hyphens) and other control characters, makes line ends \n and unusual
// spaces plain, removes spaces at the ends of lines and repeated blank lines, and unwraps a
// document, problem, question or exercise environment of LaTeX around the whole text. A zero-width
// joiner or non-joiner between two characters beyond ASCII is kept, because it belongs to the
// spelling.
std::string clean_text(std::string_view text, TextForm form);

// clean_text(), then the answer without what is wrapped around it: the text after GSM8K's "####",
// the content of the last \boxed{} of a worked solution, $...$, \(...\), \[...\] or \text{} around
// the whole.
std::string clean_answer(std::string_view text, TextForm form);

}  // namespace longshot::curate

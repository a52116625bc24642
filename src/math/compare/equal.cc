#include "math/compare/equal.h"

#include "math/compare/comparer.h"
#include "math/read/latex.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxText = 40000;

}  // namespace

Result<bool> equal_answers(std::string_view answer, std::string_view truth,
                           const EqualOptions& options, Deadline deadline) {
  const std::string a = plain_math(answer), t = plain_math(truth);
  if (a.empty() || t.empty()) return false;
  if (text_key(a) == text_key(t)) return true;
  if (a.size() > kMaxText || t.size() > kMaxText) return false;
  // Most answers are numbers, and two numbers are done here.
  if (const auto x = parse_number(t)) {
    if (const auto y = parse_number(a)) {
      return numbers_agree(*y, *x, {options.digits, options.bare_percent, options.ignore_units});
    }
  }
  Comparer comparer(options, deadline);
  // 100,200 is a number or a list.
  for (const bool keep_thousands : {true, false}) {
    const bool ambiguous = a.find(',') != std::string::npos && t.find(',') != std::string::npos;
    if (!keep_thousands && !ambiguous) break;
    LS_ASSIGN_OR_RETURN(const bool same, comparer.equal(read_answer(a, keep_thousands),
                                                        read_answer(t, keep_thousands)));
    if (same) return true;
  }
  return false;
}

}  // namespace longshot::math

#include "math/read/tex_arguments.h"

#include "base/text/text.h"

namespace longshot::math {
namespace {

// Works in one pass: a brace that opens a fraction's numerator is remembered, so that the
// denominator is searched after the closing brace.
class ArgumentBracer {
 public:
  explicit ArgumentBracer(const std::string& text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (text_.compare(at_, 5, "\\frac") == 0 || text_.compare(at_, 5, "\\sqrt") == 0)
      return command();
    if (c == '\\' && at_ + 1 < text_.size()) {
      out_.append(text_, at_, 2);
      at_ += 2;
      return;
    }
    ++at_;
    out_ += c;
    if (c == '{') numerator_ += '0';
    if (c != '}' || numerator_.empty()) return;
    const bool numerator = numerator_.back() == '1';
    numerator_.pop_back();
    if (numerator) argument(false);
  }

  void command() {
    const bool fraction = text_[at_ + 1] == 'f';
    out_.append(text_, at_, 5);
    at_ += 5;
    argument(fraction);
  }

  // A digit, a letter after a space, or a command becomes {it}; a braced argument stays for step().
  void argument(bool numerator) {
    size_t i = at_;
    while (i < text_.size() && text_[i] == ' ') ++i;
    if (i >= text_.size()) return;
    size_t end = i;
    if (is_digit(text_[i]) || (is_alpha(text_[i]) && (i > at_ || !numerator))) {
      end = i + 1;
    } else if (text_[i] == '\\' && text_.compare(i, 5, "\\frac") != 0 &&
               text_.compare(i, 5, "\\sqrt") != 0) {
      for (end = i + 1; end < text_.size() && is_alpha(text_[end]);) ++end;
      if (end == i + 1) return;
    }
    if (end == i) {
      if (text_[i] != '{') return;
      at_ = i + 1;
      out_ += '{';
      numerator_ += numerator ? '1' : '0';
      return;
    }
    out_.append("{").append(text_, i, end - i).append("}");
    at_ = end;
    if (numerator) argument(false);
  }

  const std::string& text_;
  size_t at_ = 0;
  std::string out_;
  std::string numerator_;  // per open brace: '1' when it holds a numerator
};

}  // namespace

std::string brace_arguments(const std::string& text) {
  return ArgumentBracer(text).run();
}

}  // namespace longshot::math

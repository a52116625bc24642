#include "math/read/latex.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/text/text.h"
#include "math/read/latex_words.h"
#include "math/read/tex_arguments.h"
#include "math/read/unicode.h"

namespace longshot::math {
namespace {

template <typename Table>
bool contains(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

constexpr size_t kMaxOver = 2000;  // at most this many characters before \over become a numerator

// One pass over the text. Braces opened by a \text or \boxed are dropped together with their
// partner.
class Plainer {
 public:
  explicit Plainer(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string run() {
    while (at_ < text_.size()) step();
    if (groups_[0].over) out_ += '}';
    return std::move(out_);
  }

 private:
  enum class Brace : char { keep, text, drop };
  struct Group {
    Brace brace = Brace::keep;
    bool over = false;  // its numerator is complete
    size_t start = 0;   // where its content starts in out_
  };

  void step() {
    const char c = text_[at_];
    if (at_ == scale_at_) return scale();
    if (c == '\\') return command();
    if (c == '{') return open();
    if (c == '}') return close();
    if (c == '*' && text_.substr(at_, 2) == "**") return double_star();
    if ((c == 'x' || c == 'X') && times_ten()) return star();
    ++at_;
    if (c == '$') return;
    out_ += (c == '~' || is_space(c)) ? ' ' : c;
  }

  char last_sign() const {
    const size_t i = out_.find_last_not_of(' ');
    return i == std::string::npos ? '\0' : out_[i];
  }
  size_t after_spaces(size_t i) const {
    while (i < text_.size() && is_space(text_[i])) ++i;
    return i;
  }

  void star() {
    out_ += '*';
    ++at_;
  }

  // 3 x 10^5
  bool times_ten() const {
    const auto rest = text_.substr(after_spaces(at_ + 1));
    return is_digit(last_sign()) && (rest.starts_with("10^") || rest.starts_with("10**"));
  }

  // x**2 is Python's power. Other double stars are Markdown's and are dropped next to a space.
  // 7**1 is not read: a power of one is more likely the end of bold text before a footnote's
  // number.
  void double_star() {
    const size_t next = after_spaces(at_ + 2);
    const bool spaces = next > at_ + 2, spaces_before = !out_.empty() && out_.back() == ' ';
    const char before = last_sign(), after = next < text_.size() ? text_[next] : '\0';
    const auto belongs = [](char c, std::string_view signs) {
      return is_digit(c) || is_alpha(c) || (c != '\0' && signs.find(c) != std::string_view::npos);
    };
    const bool one = after == '1' && (next + 1 == text_.size() || !is_digit(text_[next + 1]));
    const bool power = belongs(before, ")}]|") && belongs(after, "({-\\.") && !one;
    at_ += 2;
    if (power && spaces == spaces_before) {
      out_ += '^';
    } else if (!spaces && !spaces_before && before != '\0' && after != '\0') {
      out_ += "**";
    }
  }

  void open() {
    for (const std::string_view comma : {"{,}", "{, }"}) {
      if (text_.substr(at_, comma.size()) != comma) continue;
      while (!out_.empty() && out_.back() == ' ') out_.pop_back();
      out_ += ',';
      at_ += comma.size();
      return;
    }
    out_ += '{';
    ++at_;
    groups_.push_back({Brace::keep, false, out_.size()});
  }

  void close() {
    ++at_;
    const Group group = groups_.back();
    const bool inner = groups_.size() > 1;
    if (inner) groups_.pop_back();
    if (group.over && inner) out_ += '}';
    if (group.brace == Brace::keep) out_ += '}';
    if (group.brace == Brace::text) out_ += ' ';
  }

  void command() {
    size_t end = at_ + 1;
    while (end < text_.size() && is_alpha(text_[end])) ++end;
    if (end == at_ + 1) return symbol_command();
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    if (contains(kTextCommands, name))
      return brace_follows() ? begin_argument(Brace::text) : unbraced_text();
    if (contains(kBoxCommands, name) && brace_follows()) return begin_argument(Brace::drop);
    if (contains(kLayoutCommands, name)) return layout();
    if (name == "circ" || name == "degree" || name == "textdegree") return circle();
    if (name == "degreeCelsius" || name == "celsius") return void(out_ += " celsius ");
    if (name == "mathbb") return blackboard();
    if (name == "over" || name == "choose") return over(name);
    if (name == "begin") ++environments_;
    if (name == "end") --environments_;
    if (name.starts_with("quad") && name.size() > 4) {  // \quadx
      at_ -= name.size() - 4;
      out_ += ' ';
      return;
    }
    for (const auto& [from, to] : kCommands) {
      if (name != from) continue;
      out_ += to;
      if (to.empty()) delimiter(name);
      return;
    }
    out_.append("\\").append(name);
    // The space that ends a command's name carries meaning only before a letter (\pi r).
    if (at_ < text_.size() && is_space(text_[at_])) out_ += ' ';
  }

  // Reads the sign after \left and \right: a point means none, < and > are angle brackets.
  void delimiter(std::string_view name) {
    const bool left = name == "left", right = name == "right";
    const size_t i = after_spaces(at_);
    if ((!left && !right && name != "middle") || i >= text_.size()) return;
    const bool angle = (left && text_[i] == '<') || (right && text_[i] == '>');
    if (angle) out_ += left ? "\\langle " : "\\rangle ";
    if (angle || text_[i] == '.') at_ = i + 1;
  }

  // \color{red}{31}: drops the first argument, and the braces of a second.
  void layout() {
    if (!brace_follows()) return;
    const size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) return;
    at_ = end + 1;
    if (brace_follows()) begin_argument(Brace::drop);
  }

  // {3 \over 4}: the text before it in the group is the numerator.
  void over(std::string_view name) {
    Group& group = groups_.back();
    if (group.over || out_.size() - group.start > kMaxOver)
      return void(out_.append("\\").append(name));
    const std::string top(trim(std::string_view(out_).substr(group.start)));
    out_.resize(group.start);
    // 2{3 \over 4} is a mixed number.
    const bool mixed =
        group.brace == Brace::keep && group.start >= 2 && is_digit(out_[group.start - 2]);
    if (mixed) {
      out_.pop_back();
      group.brace = Brace::drop;
    }
    out_.append(name == "over" ? "\\frac{" : "\\binom{").append(top).append("}{");
    group.over = true;
  }

  // \mathbb R and \mathbb{R}
  void blackboard() {
    at_ = after_spaces(at_);
    out_ += "\\mathbb";
    if (at_ < text_.size() && is_alpha(text_[at_]))
      out_.append("{").append(1, text_[at_++]).append("}");
  }

  // \, \; \! \% \$ \{ \( ...
  void symbol_command() {
    if (environments_ == 0 && text_.substr(at_, 2) == "\\\\" && at_ + 3 < text_.size() &&
        is_alpha(text_[at_ + 2]) && is_alpha(text_[at_ + 3])) {
      ++at_;  // \\frac: escaped twice
      return command();
    }
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
    at_ = std::min(text_.size(), at_ + 2);
    if (c == '{' || c == '}') {
      out_ += '\\';
      out_ += c;
    } else if (c == '\\' && environments_ > 0) {
      out_ += "\\\\";  // the end of a matrix row
    } else if (c == ' ' || c == '\\' || c == '\n') {
      out_ += ' ';
    } else if (c == '!' && !out_.empty() && out_.back() == ',') {
      at_ = after_spaces(at_);  // 11,\! 111
    } else if (std::string_view("%#&_").find(c) != std::string_view::npos) {
      out_ += c;
    }
  }

  bool brace_follows() {
    const size_t i = after_spaces(at_);
    if (i >= text_.size() || text_[i] != '{') return false;
    at_ = i;
    return true;
  }

  void begin_argument(Brace kind) {
    ++at_;
    if (kind == Brace::text) out_ += ' ';
    groups_.push_back({kind, false, out_.size()});
  }

  // \mathbf 5
  void unbraced_text() { out_ += ' '; }

  // ^\circ and ^{\circ} are degree signs.
  void circle() {
    if (!out_.empty() && out_.back() == '^') {
      out_.pop_back();
    } else if (out_.ends_with("^{") && at_ < text_.size() && text_[at_] == '}') {
      out_.resize(out_.size() - 2);
      if (groups_.size() > 1) groups_.pop_back();
      ++at_;
    } else if (text_.substr(0, at_).ends_with("circ")) {
      out_ += "\\circ";
      return;
    }
    find_scale();
  }

  // The C or F after a degree sign, perhaps in \text{} or \mathrm{}, is not a variable.
  void find_scale() {
    size_t i = at_;
    while (i < text_.size() && (is_space(text_[i]) || text_[i] == '~')) ++i;
    for (const std::string_view space : {"\\,", "\\ ", "\\;", "\\!"}) {
      if (text_.substr(i, 2) == space) i += 2;
    }
    for (const std::string_view wrap : {"\\text{", "\\mathrm{", "\\textrm{", "\\rm ", "{"}) {
      if (text_.substr(i, wrap.size()) != wrap) continue;
      i = after_spaces(i + wrap.size());
      break;
    }
    if (i >= text_.size() || (text_[i] != 'C' && text_[i] != 'F')) return;
    if (i + 1 < text_.size() && is_alpha(text_[i + 1])) return;
    scale_at_ = i;
  }
  void scale() {
    out_ += text_[at_] == 'C' ? " celsius" : " fahrenheit";
    ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t scale_at_ = std::string_view::npos;
  std::string out_;
  std::vector<Group> groups_{1};  // the first is the whole text
  int environments_ = 0;
};

std::string_view strip_decoration(std::string_view text) {
  while (true) {
    const size_t before = text.size();
    text = trim(text);
    while (!text.empty() &&
           std::string_view("*_`\"").find(text.front()) != std::string_view::npos) {
      text.remove_prefix(1);
    }
    while (!text.empty() &&
           std::string_view("*_`.;,:\"").find(text.back()) != std::string_view::npos) {
      text.remove_suffix(1);
    }
    if (text.size() == before) return text;
  }
}

// Removes signs before a value: "= 3.14" and "\approx 3.14" mean 3.14.
std::string_view without_lead_signs(std::string_view text) {
  text = strip_decoration(text);
  for (const std::string_view sign : {"=", "\\approx", "\\sim", "\\therefore", "\\implies",
                                      "\\Rightarrow", "\\Longrightarrow", "\\to", "\\equiv"}) {
    if (!text.starts_with(sign)) continue;
    const auto rest = text.substr(sign.size());
    const bool whole = sign == "=" || rest.empty() || !is_alpha(rest.front());
    if (whole && !trim(rest).empty()) return strip_decoration(rest);
  }
  return text;
}

}  // namespace

std::string plain_math(std::string_view text) {
  const std::string latex = signs_to_latex(strip_decoration(text));
  const std::string unbraced = Plainer(strip_decoration(latex)).run();
  const std::string plain = brace_arguments(unbraced);
  return std::string(without_lead_signs(plain));
}

std::string text_key(const std::string& plain) {
  std::string key;
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    if (is_space(c)) {
      size_t next = i;
      while (next < plain.size() && is_space(plain[next])) ++next;
      const bool between_digits =
          !key.empty() && is_digit(key.back()) && next < plain.size() && is_digit(plain[next]);
      if (between_digits) key += ' ';
      i = next - 1;
    } else if ((c == '^' || c == '_') && i + 3 < plain.size() && plain[i + 1] == '{' &&
               plain[i + 3] == '}') {
      key.append({c, plain[i + 2]});
      i += 3;
    } else {
      key += c;
    }
  }
  const bool words_only = std::none_of(key.begin(), key.end(), [](char c) { return c == '\\'; });
  const auto letters = std::count_if(key.begin(), key.end(), is_alpha);
  const bool is_word =
      words_only && letters > 1 && std::none_of(key.begin(), key.end(), [](char c) {
        return std::string_view("^_=+*/()[]{}").find(c) != std::string_view::npos || is_digit(c);
      });
  return is_word ? to_lower(key) : key;
}

}  // namespace longshot::math

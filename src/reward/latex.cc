#include "reward/latex.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "reward/latex_words.h"
#include "reward/text.h"

namespace longshot::reward {
namespace {

template <typename Table>
bool contains(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

// One pass over the text. Braces opened by a \text or \boxed are dropped together with their
// partner.
class Plainer {
 public:
  explicit Plainer(std::string_view text) : text_(text) { out_.reserve(text.size()); }

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  enum class Brace : char { keep, text, drop };

  void step() {
    const char c = text_[at_];
    if (c == '\\') return command();
    if (c == '{') return open();
    if (c == '}') return close();
    if (static_cast<unsigned char>(c) >= 0x80) return sign();
    ++at_;
    if (c == '$') return;
    out_ += (c == '~' || is_space(c)) ? ' ' : c;
  }

  void open() {
    for (const std::string_view comma : {"{,}", "{, }"}) {
      if (text_.substr(at_, comma.size()) != comma) continue;
      while (!out_.empty() && out_.back() == ' ') out_.pop_back();
      out_ += ',';
      at_ += comma.size();
      return;
    }
    braces_ += static_cast<char>(Brace::keep);
    out_ += '{';
    ++at_;
  }

  void close() {
    ++at_;
    const auto kind = braces_.empty() ? Brace::keep : static_cast<Brace>(braces_.back());
    if (!braces_.empty()) braces_.pop_back();
    if (kind == Brace::keep) out_ += '}';
    if (kind == Brace::text) out_ += ' ';
  }

  void sign() {
    if (text_.substr(at_, kRootSign.size()) == kRootSign) return root_sign();
    for (const auto& [from, to] : kSigns) {
      if (text_.substr(at_, from.size()) == from) {
        out_ += to;
        at_ += from.size();
        return;
      }
    }
    out_ += text_[at_++];
  }

  // All digits behind a root sign stand under it, unlike behind \sqrt.
  void root_sign() {
    at_ += kRootSign.size();
    size_t end = at_;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    out_ += "\\sqrt";
    if (end == at_) return;
    out_.append("{").append(text_.substr(at_, end - at_)).append("}");
    at_ = end;
  }

  void command() {
    size_t end = at_ + 1;
    while (end < text_.size() && is_alpha(text_[end])) ++end;
    if (end == at_ + 1) return symbol_command();
    const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end;
    if (contains(kTextCommands, name) && brace_follows()) return begin_argument(Brace::text);
    if (contains(kBoxCommands, name) && brace_follows()) return begin_argument(Brace::drop);
    if (name == "circ") return circle();
    if (name == "mathbb") return blackboard();
    if (name == "begin") ++environments_;
    if (name == "end") --environments_;
    if (name.starts_with("quad") && name.size() > 4) {  // \quadx
      at_ -= name.size() - 4;
      out_ += ' ';
      return;
    }
    for (const auto& [from, to] : kCommands) {
      if (name == from) {
        out_ += to;
        return;
      }
    }
    out_.append("\\").append(name);
    // The space that ends a command's name carries meaning only before a letter (\pi r).
    if (at_ < text_.size() && is_space(text_[at_])) out_ += ' ';
  }

  // \mathbb R and \mathbb{R}
  void blackboard() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
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
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;  // 11,\! 111
    } else if (std::string_view("%#&_").find(c) != std::string_view::npos) {
      out_ += c;
    }
  }

  bool brace_follows() {
    size_t i = at_;
    while (i < text_.size() && is_space(text_[i])) ++i;
    if (i >= text_.size() || text_[i] != '{') return false;
    at_ = i;
    return true;
  }

  void begin_argument(Brace kind) {
    ++at_;
    braces_ += static_cast<char>(kind);
    if (kind == Brace::text) out_ += ' ';
  }

  // ^\circ and ^{\circ} are degree signs.
  void circle() {
    if (!out_.empty() && out_.back() == '^') {
      out_.pop_back();
    } else if (out_.size() >= 2 && out_.ends_with("^{") && at_ < text_.size() &&
               text_[at_] == '}') {
      out_.resize(out_.size() - 2);
      if (!braces_.empty()) braces_.pop_back();
      ++at_;
    } else {
      out_ += "\\circ";
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string out_;
  std::string braces_;  // one Brace each
  int environments_ = 0;
};

// \frac12 -> \frac{1}{2}, \frac1{10} -> \frac{1}{10}, \frac{10}3 -> \frac{10}{3}, \frac\pi4, \sqrt2. One pass: a brace
// that opens a fraction's numerator is remembered, so that the denominator is looked for behind its partner.
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

std::string_view strip_decoration(std::string_view text) {
  while (true) {
    const size_t before = text.size();
    text = trim(text);
    while (!text.empty() && std::string_view("*_`").find(text.front()) != std::string_view::npos) {
      text.remove_prefix(1);
    }
    while (!text.empty() &&
           std::string_view("*_`.;,:").find(text.back()) != std::string_view::npos) {
      text.remove_suffix(1);
    }
    if (text.size() == before) return text;
  }
}

}  // namespace

std::string plain_math(std::string_view text) {
  const std::string unbraced = Plainer(strip_decoration(text)).run();
  const std::string plain = ArgumentBracer(unbraced).run();
  return std::string(strip_decoration(plain));
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

}  // namespace longshot::reward

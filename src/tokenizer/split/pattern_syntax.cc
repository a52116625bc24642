#include <fmt/format.h>

#include <cstring>

#include "tokenizer/split/pattern.h"
#include "tokenizer/unicode/unicode_tables.h"

namespace longshot::tokenizer {
namespace {

// White_Space as the inside of a character class. PCRE2's own \s also includes U+180E.
constexpr const char* kSpaces =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{"
    "205f}\\x{3000}";

bool is_general_category(const std::string& name) {
  return name.size() <= 2 && !name.empty() && std::strchr("LMNPSZC", name[0]) != nullptr;
}

// The ranges to add to \p{name}. A one-letter name includes every category that begins with it.
std::string newer_ranges(const std::string& name) {
  std::string out;
  for (const CategoryRange& range : newer_category_ranges()) {
    const std::string category = range.category;
    if (category != name && (name.size() != 1 || category == "Han" || category[0] != name[0]))
      continue;
    out += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", range.first, range.last);
  }
  return out;
}

class Translator {
 public:
  explicit Translator(const std::string& source) : source_(source) {}

  Result<std::string> run() {
    while (at_ < source_.size()) {
      LS_RETURN_IF_ERROR(in_class_ ? class_item() : item());
    }
    return out_;
  }

 private:
  bool next_is(const char* text) const {
    return source_.compare(at_, std::strlen(text), text) == 0;
  }

  Status refuse(const std::string& what) const {
    return invalid_argument(
        fmt::format("pattern '{}': {} at byte {} is not supported", source_, what, at_));
  }

  Status item() {
    if (source_[at_] == '\\') return escape();
    if (source_[at_] == '{') return quantifier();
    if (next_is("(?")) return group();
    if (source_[at_] == '[') {
      in_class_ = true;
      out_ += source_[at_++];
      if (next_is("^")) out_ += source_[at_++];
      if (next_is("]")) return refuse("']' first in a class");
      return {};
    }
    out_ += source_[at_++];
    return {};
  }

  Status class_item() {
    if (source_[at_] == '\\') return escape();
    if (source_[at_] == '[') return refuse("a nested class");
    if (next_is("&&")) return refuse("a class intersection");
    if (source_[at_] == ']') in_class_ = false;
    out_ += source_[at_++];
    return {};
  }

  // In Oniguruma {n,m}+ repeats again; in PCRE2 it is possessive.
  Status quantifier() {
    const size_t close = source_.find('}', at_);
    if (close == std::string::npos) return refuse("'{' without '}'");
    if (close + 1 < source_.size() && source_[close + 1] == '+') return refuse("'{n,m}+'");
    out_ += source_.substr(at_, close + 1 - at_);
    at_ = close + 1;
    return {};
  }

  Status group() {
    for (const char* start : {"(?:", "(?i:", "(?i)", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (!next_is(start)) continue;
      out_ += start;
      at_ += std::strlen(start);
      return {};
    }
    return refuse("this group");
  }

  void class_member(const std::string& inside, bool negated) {
    out_ += in_class_ ? inside : (negated ? "[^" : "[") + inside + "]";
  }

  Status escape() {
    if (at_ + 1 >= source_.size()) return refuse("a '\\' at the end");
    const char c = source_[at_ + 1];
    if (c == 'p' || c == 'P') return property();
    if (c == 'x') return hexadecimal();
    if (std::strchr("sSdDh", c) != nullptr) {
      if (c == 's') class_member(kSpaces, false);
      if (c == 'S' && in_class_) out_ += "\\S\\x{180e}";
      if (c == 'S' && !in_class_) class_member(kSpaces, true);
      if (c == 'd') class_member("\\p{Nd}" + newer_ranges("Nd"), false);
      if (c == 'D' && in_class_) return refuse("'\\D' in a class");
      if (c == 'D') class_member("\\p{Nd}" + newer_ranges("Nd"), true);
      if (c == 'h') class_member("0-9a-fA-F", false);
    } else if ((c == 'A' || c == 'z') && !in_class_) {  // the ends of the text
      out_ += {'\\', c};
    } else if (std::strchr("rntfv", c) != nullptr) {
      out_ += c == 'v' ? "\\x{b}" : std::string{'\\', c};
    } else if (std::isalnum(static_cast<unsigned char>(c)) ||
               static_cast<unsigned char>(c) >= 0x80) {
      return refuse(std::string("'\\") + c + "'");
    } else {
      out_ += {'\\', c};
    }
    at_ += 2;
    return {};
  }

  Status hexadecimal() {
    const size_t digits = at_ + 2;
    size_t end = digits;
    if (digits < source_.size() && source_[digits] == '{') {
      end = source_.find('}', digits);
      if (end == std::string::npos) return refuse("'\\x{' without '}'");
      ++end;
    } else {
      while (end < source_.size() && end < digits + 2 &&
             std::isxdigit(static_cast<unsigned char>(source_[end]))) {
        ++end;
      }
    }
    out_ += source_.substr(at_, end - at_);
    at_ = end;
    return {};
  }

  Status property() {
    bool negated = source_[at_ + 1] == 'P';
    const size_t close = source_.find('}', at_);
    if (at_ + 2 >= source_.size() || source_[at_ + 2] != '{' || close == std::string::npos) {
      return refuse("a property without braces");
    }
    std::string name = source_.substr(at_ + 3, close - at_ - 3);
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.erase(0, 1);
    }
    for (const char c : name) {
      if (!std::isalpha(static_cast<unsigned char>(c))) return refuse("this property");
    }
    if (name == "C" || name == "Cn") return refuse("\\p{" + name + "}");
    if (negated && in_class_) return refuse("a negated property in a class");
    class_member(
        "\\p{" + (is_general_category(name) ? name : "sc:" + name) + "}" + newer_ranges(name),
        negated);
    at_ = close + 1;
    return {};
  }

  const std::string& source_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

Result<std::string> translate_pattern(const std::string& oniguruma) {
  return Translator(oniguruma).run();
}

}  // namespace longshot::tokenizer

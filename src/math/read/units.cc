#include "math/read/units.h"

#include <algorithm>
#include <iterator>

#include "base/text/text.h"
#include "math/read/unit_table.h"

namespace longshot::math {
namespace {

constexpr size_t kNone = std::string_view::npos;
constexpr int kMaxWords = 8, kMaxDepth = 3;

constexpr std::string_view kMeaning[] = {
    "or",        "and",        "nor",      "not",        "no",        "either",    "neither",
    "between",   "than",       "least",    "most",       "to",        "maybe",     "perhaps",
    "possibly",  "probably",   "might",    "could",      "may",       "if",        "unless",
    "unknown",   "except",     "hundred",  "hundreds",   "thousand",  "thousands", "million",
    "millions",  "billion",    "billions", "trillion",   "trillions", "dozen",     "dozens",
    "half",      "halves",     "third",    "thirds",     "quarter",   "quarters",  "fourth",
    "fourths",   "fifth",      "fifths",   "tenth",      "tenths",    "hundredth", "hundredths",
    "twice",     "double",     "doubled",  "triple",     "tripled",   "times",     "minus",
    "plus",      "over",       "divided",  "multiplied", "root",      "sqrt",      "pi",
    "percent",   "percentage", "pct",      "factorial",  "mod",       "modulo",    "power",
    "raised",    "choose",     "negative", "more",       "less",      "fewer",     "but",
    "wrong",     "incorrect",  "rather",   "instead",    "isn",       "aren",      "wasn",
    "don",       "cannot",     "can",      "sin",        "cos",       "tan",       "log",
    "ln",        "exp",        "i",        "remainder",  "both",      "also",      "alternatively",
    "otherwise", "any",        "base",     "e",          "squared",   "cubed"};

// Words in parentheses after a number that say how it was written.
constexpr std::string_view kNotes[] = {"approx", "approximately", "rounded", "exact", "exactly",
                                       "in",     "correct",       "answer",  "total", "nearest"};

template <typename Table>
bool contains(const Table& table, std::string_view word) {
  return std::find(std::begin(table), std::end(table), word) != std::end(table);
}

bool has_name(std::string_view names, std::string_view name) {
  for (size_t start = 0; start <= names.size();) {
    const size_t end = std::min(names.find(' ', start), names.size());
    if (names.substr(start, end - start) == name) return true;
    start = end + 1;
  }
  return false;
}

struct Known {
  const UnitEntry* entry = nullptr;
  const UnitPrefix* prefix = nullptr;

  std::string name() const {
    std::string out(prefix != nullptr ? prefix->sign : "");
    return out.append(entry->names.substr(0, entry->names.find(' ')));
  }
};

const UnitEntry* find_entry(std::string_view word) {
  for (const auto& entry : kUnitTable) {
    if (has_name(entry.names, word)) return &entry;
  }
  return nullptr;
}

std::optional<Known> find_prefixed(std::string_view word) {
  for (const auto& prefix : kUnitPrefixes) {
    for (const auto start : {prefix.word, prefix.sign}) {
      if (!word.starts_with(start) || word.size() == start.size()) continue;
      const auto rest = trim(word.substr(start.size()));
      const UnitEntry* entry = find_entry(rest);
      if (entry == nullptr || !entry->prefixed) continue;
      const bool symbol = rest.size() <= 2 || entry->names.starts_with(rest);
      if (symbol == (start == prefix.sign)) return Known{entry, &prefix};
    }
  }
  return std::nullopt;
}

std::optional<Known> find_unit(std::string_view word) {
  if (const UnitEntry* entry = find_entry(word)) return Known{entry, nullptr};
  if (word.size() < 2) return std::nullopt;  // m is not M
  if (const auto known = find_prefixed(word)) return known;
  const std::string lower = to_lower(word);
  if (lower == word) return std::nullopt;
  if (const UnitEntry* entry = find_entry(lower)) return Known{entry, nullptr};
  return find_prefixed(lower);
}

bool is_ordinal(std::string_view word) {
  return word == "th" || word == "st" || word == "nd" || word == "rd";
}

struct Factor {
  std::string name;
  int exponent = 1;
  bool known = false;
};

// Reads units and words from left to right.
class UnitReader {
 public:
  UnitReader(std::string_view text, bool attached, int depth)
      : text_(text), attached_(attached), depth_(depth) {}

  std::optional<std::vector<Factor>> whole() {
    skip_ordinal();
    while (skip_spaces(), at_ < text_.size()) {
      if (!step()) return std::nullopt;
    }
    if (sign_ < 0 || power_ != 1) return std::nullopt;  // ends with "/" or "square"
    return std::move(factors_);
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool eat(std::string_view what) {
    if (text_.substr(at_, what.size()) != what) return false;
    at_ += what.size();
    return true;
  }

  // 12^{th}, 12th
  void skip_ordinal() {
    const size_t start = at_;
    const bool raised = eat("^");
    const bool braced = raised && eat("{");
    skip_spaces();
    const auto ending = text_.substr(at_, 2);
    const bool apart = at_ + 2 >= text_.size() || !is_alpha(text_[at_ + 2]);
    at_ += 2;
    if (is_ordinal(ending) && apart) {
      skip_spaces();
      if (!braced || eat("}")) {
        attached_ = false;
        return;
      }
    }
    at_ = start;
  }

  bool step() {
    const char c = text_[at_];
    if (c == '/') return divide(1);
    if (c == '*' || c == '.' || c == '-') return multiply();
    if (c == '(' || c == '[') return group(c == '(' ? ')' : ']');
    if (text_.substr(at_, 5) == "\\frac") return fraction();
    return word();
  }

  bool divide(size_t length) {
    at_ += length;
    if (sign_ < 0) return false;
    sign_ = -1;
    return true;
  }

  // N*m, N.m, foot-pounds
  bool multiply() {
    const char sign = text_[at_++];
    skip_spaces();
    const bool letter = at_ < text_.size() && (is_alpha(text_[at_]) || text_[at_] == '\\');
    if (sign == '.' && at_ == text_.size()) return !factors_.empty();
    return letter && !factors_.empty() && (factors_.back().known || sign == '-');
  }

  // (kg*K) in a quotient; (square units), (approx.) at the end
  bool group(char close) {
    const size_t end = text_.find(close, at_);
    if (end == kNone || depth_ >= kMaxDepth) return false;
    const auto inside = trim(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    auto words = words_of(inside);
    while (!words.empty() && contains(kNotes, words.front())) words.erase(words.begin());
    if (words.empty()) return sign_ > 0 && !inside.empty();
    const auto from = static_cast<size_t>(words.front().data() - inside.data());
    const auto unit = UnitReader(inside.substr(from), false, depth_ + 1).whole();
    return unit && add_all(*unit);
  }

  bool add_all(const std::vector<Factor>& factors) {
    for (const auto& factor : factors) {
      factors_.push_back(factor);
      factors_.back().exponent *= sign_;
    }
    sign_ = 1;
    attached_ = false;
    return true;
  }

  bool fraction() {
    at_ += 5;
    std::vector<Factor> parts[2];
    for (auto& part : parts) {
      skip_spaces();
      const size_t end = text_.find('}', at_);
      if (!eat("{") || end == kNone || depth_ >= kMaxDepth) return false;
      const auto inside = text_.substr(at_, end - at_);
      const bool attached = attached_ && !inside.starts_with(' ');
      auto read = UnitReader(trim(inside), attached, depth_ + 1).whole();
      const auto known = [](const Factor& factor) { return factor.known; };
      if (!read || read->empty() || !std::all_of(read->begin(), read->end(), known)) return false;
      part = std::move(*read);
      at_ = end + 1;
    }
    for (auto& factor : parts[1]) factor.exponent = -factor.exponent;
    return sign_ > 0 && add_all(parts[0]) && add_all(parts[1]);
  }

  // Letters, with a Greek prefix or as a Greek sign.
  std::string take_word() {
    std::string out;
    for (const std::string_view sign : {"\\mu", "\\Omega", "\\AA"}) {
      if (!eat(sign)) continue;
      out = sign;
      if (sign != "\\mu") return out;
      skip_spaces();
    }
    while (at_ < text_.size() && is_alpha(text_[at_])) out += text_[at_++];
    const size_t end = at_;
    skip_spaces();
    if (out.size() == 1 && eat("\\Omega")) return out + "\\Omega";  // k\Omega
    at_ = end;
    return out;
  }

  bool word() {
    const std::string word = take_word();
    if (word.empty() || ++words_ > kMaxWords) return false;
    const bool first = factors_.empty() && power_ == 1 && sign_ > 0;
    const std::string lower = to_lower(word);
    if (lower == "per" && !first) return divide(0);
    if (modifier(lower, first)) return true;
    const auto known = lower == "in" && noun_follows() ? std::nullopt : find_unit(word);
    if (first && attached_ && !(known && word.size() >= 2)) return false;
    if (!known) return noun(word, lower, first);
    const std::string name = known->name();
    const bool scale = name == "celsius" || name == "fahrenheit" || name == "C" || name == "F";
    if (scale && !factors_.empty() && factors_.back().name == "degree") factors_.pop_back();
    const auto raised = exponent();
    if (!raised) return false;
    add({name, *raised * power_, true});
    return true;
  }

  // True if a noun follows, as in "5 in total".
  bool noun_follows() {
    const size_t start = at_;
    skip_spaces();
    const std::string next = take_word();
    at_ = start;
    return next.size() > 1 && !find_unit(next) && to_lower(next) != "squared";
  }

  void add(Factor factor) {
    factor.exponent *= sign_;
    factors_.push_back(std::move(factor));
    sign_ = power_ = 1;
    attached_ = false;
  }

  // "square", "squared" and their relatives.
  bool modifier(const std::string& lower, bool first) {
    const int power = lower == "square" || lower == "sq" || lower == "squared" ? 2
                      : lower == "cubic" || lower == "cu" || lower == "cubed"  ? 3
                                                                               : 0;
    if (power == 0 || (first && attached_)) return false;
    if (lower.back() == 'd') {
      if (factors_.empty()) return false;
      factors_.back().exponent *= power;
      return true;
    }
    eat(".");
    skip_spaces();
    const size_t at = at_;
    const bool before_unit = find_unit(take_word()).has_value();
    at_ = at;
    if (before_unit) power_ = power;
    return before_unit;
  }

  bool noun(const std::string& word, const std::string& lower, bool first) {
    if (word.size() == 1 && (first || lower != "a")) return false;
    if (word.find('\\') != std::string::npos || changes_meaning(lower)) return false;
    if (at_ < text_.size() && (text_[at_] == '^' || text_[at_] == '_')) return false;
    add({lower, power_, false});
    return true;
  }

  // ^2, ^{-1}, or the digit of m2. 1 if there is none, nullopt for an exponent that is not small.
  std::optional<int> exponent() {
    const size_t start = at_;
    skip_spaces();
    const bool raised = eat("^");
    if (!raised) at_ = start;
    const char close = !raised ? '\0' : eat("{") ? '}' : eat("(") ? ')' : '\0';
    skip_spaces();
    const int sign = raised && eat("-") ? -1 : 1;
    if (at_ >= text_.size() || !is_digit(text_[at_])) {
      at_ = raised ? at_ : start;
      return raised ? std::nullopt : std::optional<int>(1);
    }
    const int digit = text_[at_++] - '0';
    skip_spaces();
    if (close != '\0' && !eat(std::string_view(&close, 1))) return std::nullopt;
    const bool longer = at_ < text_.size() && is_digit(text_[at_]);
    if (digit < 1 || digit > 6 || longer || (!raised && digit > 3)) return std::nullopt;
    return sign * digit;
  }

  std::string_view text_;
  bool attached_;
  const int depth_;
  size_t at_ = 0;
  int sign_ = 1;   // of the next exponent
  int power_ = 1;  // of the next unit
  int words_ = 0;
  std::vector<Factor> factors_;
};

struct Measure {
  mpq_class size = 1;
  Dimensions dimensions;
  bool known = false, neutral = false;
};

mpq_class raised(const mpq_class& base, int exponent) {
  mpq_class out = 1;
  for (int i = std::abs(exponent); i > 0; --i) out *= base;
  return exponent < 0 ? mpq_class(1 / out) : out;
}

void multiply(Measure& measure, const Known& unit, int exponent) {
  mpq_class size(unit.entry->top, unit.entry->bottom);
  size.canonicalize();
  if (unit.prefix != nullptr) size *= raised(mpq_class(10), unit.prefix->exponent);
  measure.size *= raised(size, exponent);
  for (size_t i = 0; i < measure.dimensions.powers.size(); ++i) {
    measure.dimensions.powers[i] = static_cast<int8_t>(measure.dimensions.powers[i] +
                                                       unit.entry->dimensions.powers[i] * exponent);
  }
  measure.dimensions.own =
      static_cast<int8_t>(measure.dimensions.own + unit.entry->dimensions.own * exponent);
  measure.known = true;
  measure.neutral |= unit.entry->neutral;
}

// The factors of a result of read_unit; words without a size are left out.
Measure measure_of(const std::string& unit) {
  Measure out;
  for (size_t start = 0; start < unit.size();) {
    const size_t end = std::min(unit.find(' ', start), unit.size());
    const auto factor = std::string_view(unit).substr(start, end - start);
    const size_t caret = factor.find('^');
    const int exponent =
        caret == kNone ? 1 : std::atoi(std::string(factor.substr(caret + 1)).c_str());
    if (const auto known = find_unit(factor.substr(0, caret))) multiply(out, *known, exponent);
    start = end + 1;
  }
  return out;
}

}  // namespace

bool changes_meaning(std::string_view lower_word) {
  return contains(kMeaning, lower_word);
}

std::optional<std::string> read_unit(std::string_view rest, bool attached) {
  attached = attached && !(rest.empty() || is_space(rest.front()) || rest.front() == '(');
  rest = trim(rest);
  if (rest.empty()) return std::string();
  const auto factors = UnitReader(rest, attached, 0).whole();
  if (!factors) return std::nullopt;
  std::string out;
  for (const auto& factor : *factors) {
    out.append(out.empty() ? "" : " ").append(factor.name);
    if (factor.exponent != 1) out.append("^").append(std::to_string(factor.exponent));
  }
  return out;
}

bool is_known_unit(const std::string& unit) {
  return find_unit(std::string_view(unit).substr(0, unit.find_first_of(" ^"))).has_value();
}

std::optional<mpq_class> unit_ratio(const std::string& a, const std::string& b) {
  if (a == b || a.empty() || b.empty()) return mpq_class(1);
  const Measure from = measure_of(a), to = measure_of(b);
  if (!from.known || !to.known || from.neutral || to.neutral) return mpq_class(1);
  if (from.dimensions != to.dimensions) return std::nullopt;
  return mpq_class(from.size / to.size);
}

}  // namespace longshot::math

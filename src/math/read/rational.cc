#include "math/read/rational.h"

#include <cmath>
#include <cstdlib>

#include "base/text/text.h"
#include "math/read/number_words.h"
#include "math/read/units.h"

namespace longshot::math {
namespace {

constexpr size_t kMaxDigits = 20000;  // of one literal
constexpr size_t kMaxBits = 40000;  // numerator and denominator together, of any intermediate value
constexpr size_t kMaxExpression = 2000;  // characters, when it is more than one literal
constexpr int kMaxDepth = 40;
constexpr long kMaxTenExponent = 10000;

constexpr std::string_view kLeadWords[] = {
    "about", "approximately", "approx", "roughly", "around", "exactly", "precisely", "usd",
    "us",    "eur",           "gbp",    "inr",     "rs",     "jpy",     "cny",       "rmb",
    "cad",   "aud",           "chf",    "hkd",     "nzd",    "sgd",     "brl"};

size_t bits(const mpq_class& q) {
  return mpz_sizeinbase(q.get_num_mpz_t(), 2) + mpz_sizeinbase(q.get_den_mpz_t(), 2);
}

mpz_class power_of_ten(unsigned long exponent) {
  mpz_class out;
  mpz_ui_pow_ui(out.get_mpz_t(), 10, exponent);
  return out;
}

// Recursive descent; any failure empties the result. Loosest first: sum = product {(+|-) product};
// product = factor {(*|/) factor}; factor = [+|-] power; power = atom [^ factor]
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Number> whole() {
    skip_lead();
    auto value = sum();
    if (!value) return std::nullopt;
    Number number{*value, decimal_, false, ""};
    if (eat('%') || eat_word("percent") || eat_word("pct") || eat_word("percentage") ||
        eat_word("per cent")) {
      number.percent = true;
      number.value /= 100;
    }
    const auto unit =
        read_unit(text_.substr(at_), /*attached=*/at_ > 0 && !is_space(text_[at_ - 1]));
    if (!unit) return std::nullopt;
    number.unit = *unit;
    return number;
  }

 private:
  using Value = std::optional<mpq_class>;

  // Skips "about" and the code of a currency.
  void skip_lead() {
    for (const std::string_view word : kLeadWords) {
      if (!starts_with_ignoring_case(text_.substr(at_), word)) continue;
      const size_t end = at_ + word.size();
      if (end < text_.size() && is_alpha(text_[end])) continue;
      at_ = end;
      if (peek() == '.' && is_space(at_ + 1 < text_.size() ? text_[at_ + 1] : 'x')) ++at_;
      return skip_lead();
    }
    skip_spaces();
  }

  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char peek_after_spaces() const {
    size_t i = at_;
    while (i < text_.size() && is_space(text_[i])) ++i;
    return i < text_.size() ? text_[i] : '\0';
  }
  bool eat(char c) {
    if (peek_after_spaces() != c) return false;
    skip_spaces();
    ++at_;
    return true;
  }
  bool eat_word(std::string_view word) {
    const size_t start = at_;
    skip_spaces();
    const size_t end = at_ + word.size();
    if (text_.substr(at_, word.size()) == word && (end >= text_.size() || !is_alpha(text_[end]))) {
      at_ = end;
      return true;
    }
    at_ = start;
    return false;
  }
  static Value bounded(mpq_class q) {
    if (bits(q) > kMaxBits) return std::nullopt;
    return q;
  }

  Value sum() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value left = product();
    while (left) {
      const char op = peek_after_spaces();
      if (op != '+' && op != '-') break;
      eat(op);
      const Value right = product();
      if (!right) return std::nullopt;
      left = bounded(op == '+' ? mpq_class(*left + *right) : mpq_class(*left - *right));
    }
    --depth_;
    return left;
  }

  Value product() {
    Value left = factor();
    while (left) {
      const char op = peek_after_spaces();
      if (op != '*' && op != '/') break;
      eat(op);
      if (op == '*' && peek() == '*') return std::nullopt;  // Python's power sign is not accepted
      const Value right = factor();
      if (!right || (op == '/' && *right == 0)) return std::nullopt;
      left = bounded(op == '*' ? mpq_class(*left * *right) : mpq_class(*left / *right));
    }
    return left;
  }

  Value factor() {
    if (++depth_ > kMaxDepth) return std::nullopt;
    Value out;
    if (eat('-')) {
      out = factor();
      if (out) *out = -*out;
    } else {
      eat('+');
      out = power();
    }
    --depth_;
    return out;
  }

  Value power() {
    const Value base = atom();
    if (!base || ordinal_follows() || !eat('^')) return base;
    const Value exponent = factor();
    if (!exponent || exponent->get_den() != 1 || !exponent->get_num().fits_sint_p())
      return std::nullopt;
    return raise(*base, static_cast<int>(exponent->get_num().get_si()));
  }

  // True if the ending of an ordinal follows: the th of 12^{th}.
  bool ordinal_follows() const {
    size_t i = text_.find_first_not_of(" ^{", at_);
    if (peek_after_spaces() != '^' || i == std::string_view::npos) return false;
    const auto ending = text_.substr(i, 2);
    const bool apart = i + 2 >= text_.size() || !is_alpha(text_[i + 2]);
    return apart && (ending == "th" || ending == "st" || ending == "nd" || ending == "rd");
  }

  static Value raise(const mpq_class& base, int exponent) {
    const auto size = static_cast<size_t>(std::abs(static_cast<long>(exponent)));
    if (base == 0) return exponent > 0 ? Value(mpq_class(0)) : std::nullopt;
    if (size > kMaxBits || bits(base) * size > 2 * kMaxBits) return std::nullopt;
    mpz_class top, bottom;
    mpz_pow_ui(top.get_mpz_t(), base.get_num_mpz_t(), size);
    mpz_pow_ui(bottom.get_mpz_t(), base.get_den_mpz_t(), size);
    mpq_class out = exponent >= 0 ? mpq_class(top, bottom) : mpq_class(bottom, top);
    out.canonicalize();
    return bounded(std::move(out));
  }

  Value atom() {
    const char c = peek_after_spaces();
    if (c == '(') return group('(', ')');
    if (c == '{') return group('{', '}');
    if (c == '\\') return command();
    if (is_digit(c) || c == '.') return literal();
    return std::nullopt;
  }

  Value group(char open, char close) {
    if (!eat(open)) return std::nullopt;
    Value inside = sum();
    if (!inside || !eat(close)) return std::nullopt;
    return inside;
  }

  Value command() {
    if (eat_word("\\frac")) return fraction();
    if (eat_word("\\sqrt") && peek_after_spaces() != '[')
      return square_root(peek() == '(' ? group('(', ')') : group('{', '}'));
    return std::nullopt;
  }

  Value fraction() {
    const Value top = group('{', '}');
    const Value bottom = top ? group('{', '}') : std::nullopt;
    if (!bottom || *bottom == 0) return std::nullopt;
    return bounded(*top / *bottom);
  }

  static Value square_root(const Value& q) {
    if (!q || *q < 0 || !mpz_perfect_square_p(q->get_num_mpz_t()) ||
        !mpz_perfect_square_p(q->get_den_mpz_t())) {
      return std::nullopt;
    }
    return mpq_class(sqrt(q->get_num()), sqrt(q->get_den()));
  }

  // An integer directly before a fraction is a mixed number: 1\frac{1}{2}, 1 1/2.
  Value literal() {
    skip_spaces();
    const size_t start = at_;
    Value whole = plain_literal();
    if (!whole) return std::nullopt;
    const auto written = text_.substr(start, at_ - start);
    const bool integer = written.find_first_not_of("0123456789,'_ ") == std::string_view::npos;
    if (!integer) return whole;
    if (peek_after_spaces() == '\\' && !unit_fraction_follows() && eat_word("\\frac")) {
      const Value part = fraction();
      if (!part || *part < 0 || *part >= 1) return std::nullopt;
      return bounded(*whole + *part);
    }
    return is_space(peek()) && is_digit(peek_after_spaces()) ? mixed(*whole) : whole;
  }

  // 5 \frac{m}{s}
  bool unit_fraction_follows() const {
    const size_t open = text_.find('{', at_);
    if (open == std::string_view::npos) return false;
    const size_t i = text_.find_first_not_of(' ', open + 1);
    return i != std::string_view::npos && is_alpha(text_[i]);
  }

  Value mixed(const mpq_class& whole) {
    skip_spaces();
    const auto top = digits();
    if (peek() != '/') return std::nullopt;
    ++at_;
    const auto bottom = digits();
    if (top.empty() || bottom.empty() || top.size() > 9 || bottom.size() > 9) return std::nullopt;
    const mpz_class t(std::string(top), 10), b(std::string(bottom), 10);
    if (b == 0 || t >= b) return std::nullopt;
    mpq_class part(t, b);
    part.canonicalize();
    return bounded(whole + part);
  }

  std::string_view digits() {
    const size_t start = at_;
    while (is_digit(peek())) ++at_;
    return text_.substr(start, at_ - start);
  }

  // 1,234,567: groups of exactly three after a head of one to three. Also 1 234 567, 1'234'567,
  // 1_234_567, the Indian 12,34,567, and with points where that is no decimal: 1.234.567, 1.234,5.
  std::string integer_part() {
    std::string out(digits());
    if (out.empty() || out.size() > 3 || out[0] == '0') return out;  // 0,111 has a decimal comma
    for (const char separator : {' ', ',', '\'', '_', '.'}) {
      const size_t end = groups_end(separator);
      if (end == at_) continue;
      comma_ = separator != ',' && end + 1 < text_.size() && text_[end] == ',' &&
               is_digit(text_[end + 1]);
      if (separator == '.' && !comma_ && end - at_ < 8) break;  // 1.234
      for (; at_ < end; ++at_) {
        if (is_digit(text_[at_])) out += text_[at_];
      }
      break;
    }
    return out;
  }
  size_t groups_end(char separator) const {
    size_t i = at_;
    const auto is_separator = [&](size_t k) { return k < text_.size() && text_[k] == separator; };
    while (is_separator(i) && three_digits_at(i + 1)) i += 4;
    if (separator == ' ' && i < text_.size() && text_[i] == '/') return at_;  // 1 125/250
    if (separator != ',' || i > at_) return i;
    while (is_separator(i) && is_separator(i + 3) && two_digits_at(i + 1)) i += 3;
    return i > at_ && is_separator(i) && three_digits_at(i + 1) ? i + 4 : at_;
  }
  bool two_digits_at(size_t i) const {
    return i + 2 <= text_.size() && is_digit(text_[i]) && is_digit(text_[i + 1]);
  }
  bool three_digits_at(size_t i) const {
    return i + 3 <= text_.size() && is_digit(text_[i]) && is_digit(text_[i + 1]) &&
           is_digit(text_[i + 2]) && (i + 3 == text_.size() || !is_digit(text_[i + 3]));
  }

  Value plain_literal() {
    comma_ = false;
    std::string number = integer_part();
    size_t decimals = 0;
    const bool before_digit = at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
    if (before_digit && (peek() == '.' || (comma_ && peek() == ','))) {
      ++at_;
      const auto fraction = digits();
      decimals = fraction.size();
      number += fraction;
      decimal_ = true;
    } else if (peek() == '.' && !number.empty()) {
      ++at_;
    }
    if (number.empty() || number.size() > kMaxDigits) return std::nullopt;
    const auto exponent = ten_exponent();
    if (!exponent) return std::nullopt;
    return scaled(mpz_class(number, 10), *exponent - static_cast<long>(decimals));
  }

  // e3, E-5 directly after the digits. 0 if there is none, nullopt if it is above kMaxTenExponent.
  std::optional<long> ten_exponent() {
    if (peek() != 'e' && peek() != 'E') return 0;
    size_t i = at_ + 1;
    const bool negative = i < text_.size() && text_[i] == '-';
    if (i < text_.size() && (text_[i] == '-' || text_[i] == '+')) ++i;
    if (i >= text_.size() || !is_digit(text_[i])) return 0;
    at_ = i;
    const auto value = digits();
    decimal_ = true;
    if (value.size() > 6) return std::nullopt;
    const long magnitude = std::strtol(std::string(value).c_str(), nullptr, 10);
    if (magnitude > kMaxTenExponent) return std::nullopt;
    return negative ? -magnitude : magnitude;
  }

  static Value scaled(const mpz_class& number, long exponent) {
    if (exponent >= 0)
      return mpq_class(number * power_of_ten(static_cast<unsigned long>(exponent)));
    mpq_class out(number, power_of_ten(static_cast<unsigned long>(-exponent)));
    out.canonicalize();
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  bool decimal_ = false;
  bool comma_ = false;  // the current literal has a decimal comma
};

bool is_one_literal(std::string_view text) {
  return text.find_first_not_of("0123456789.,+-%") == std::string_view::npos;
}

bool close_enough(const mpq_class& a, const mpq_class& b, int digits) {
  const mpq_class gap = abs(a - b), size_a = abs(a), size_b = abs(b);
  const mpq_class& smaller = size_a < size_b ? size_a : size_b;
  const mpq_class scale = smaller < 1 ? smaller : mpq_class(1);
  const mpq_class places(power_of_ten(static_cast<unsigned long>(digits)));
  if (gap * places <= scale) return true;
  return smaller * 100 >= 1 && gap * 2 * places <= 1;
}

mpq_class as_written(const Number& n) {
  return n.percent ? mpq_class(n.value * 100) : n.value;
}

// 9% is 9 and 12.5% is 12.5, but 0.5% is not 0.5, which may be 50%.
bool same_but_for_percent(const Number& a, const Number& b) {
  const mpq_class x = as_written(a);
  const bool whole = !a.decimal && !b.decimal && x.get_den() == 1;
  return x == as_written(b) && (whole || abs(x) >= 1);
}

}  // namespace

std::optional<Number> parse_number(std::string_view plain) {
  plain = trim(plain);
  if (plain.empty() || (plain.size() > kMaxExpression && !is_one_literal(plain)))
    return std::nullopt;
  if (plain.size() > 2 * kMaxDigits) return std::nullopt;
  if (is_alpha(plain.front())) {
    if (auto words = number_in_words(plain)) return words;
  }
  return Parser(plain).whole();
}

bool numbers_agree(const Number& a, const Number& b, const NumberRules& rules) {
  mpq_class value = a.value;
  if (!rules.ignore_units && a.unit != b.unit) {
    const auto ratio = unit_ratio(a.unit, b.unit);
    if (!ratio) return false;
    value *= *ratio;
  }
  if (value == b.value) return true;
  if ((a.decimal || b.decimal) && close_enough(value, b.value, rules.digits)) return true;
  return rules.bare_percent && a.percent != b.percent && same_but_for_percent(a, b);
}

bool decimals_agree(double a, double b, int digits) {
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return close_enough(mpq_class(a), mpq_class(b), digits);
}

}  // namespace longshot::math

#include "math/read/number_words.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/text/text.h"
#include "math/read/units.h"

namespace longshot::math {
namespace {

struct NumberWord {
  std::string_view word;
  long value;
};
constexpr NumberWord kSmall[] = {
    {"zero", 0},     {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},
    {"five", 5},     {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},
    {"ten", 10},     {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},
    {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19}};
constexpr NumberWord kTens[] = {{"twenty", 20}, {"thirty", 30},  {"forty", 40},  {"fifty", 50},
                                {"sixty", 60},  {"seventy", 70}, {"eighty", 80}, {"ninety", 90}};
constexpr NumberWord kScales[] = {{"hundred", 100}, {"thousand", 1000}, {"million", 1000000}};
constexpr NumberWord kParts[] = {{"half", 2},   {"halves", 2}, {"third", 3}, {"quarter", 4},
                                 {"fourth", 4}, {"fifth", 5},  {"sixth", 6}, {"seventh", 7},
                                 {"eighth", 8}, {"ninth", 9},  {"tenth", 10}};

template <typename Table>
std::optional<long> find(const Table& table, std::string_view word) {
  for (const auto& entry : table) {
    if (entry.word == word) return entry.value;
  }
  return std::nullopt;
}

class Words {
 public:
  explicit Words(std::string_view text) : text_(text), lower_(to_lower(text)) {}

  std::optional<Number> number() {
    const bool minus = eat("minus") || eat("negative");
    const auto whole = integer();
    if (!whole) return std::nullopt;
    mpq_class value(*whole);
    const auto part = fraction_word();
    if (part && *part <= *whole) return std::nullopt;
    if (part) value /= *part;
    const auto rest = trim(text_.substr(at_));
    const auto unit = read_unit(rest, false);
    if (!unit || (!is_known_unit(*unit) && words_of(rest).size() > 2)) return std::nullopt;
    return Number{minus ? mpq_class(-value) : value, false, false, *unit};
  }

 private:
  std::string_view word() const {
    size_t end = at_;
    while (end < lower_.size() && is_alpha(lower_[end])) ++end;
    return std::string_view(lower_).substr(at_, end - at_);
  }
  // Moves past a word and the space or hyphen after it.
  void step() {
    at_ += word().size();
    while (at_ < lower_.size() && (is_space(lower_[at_]) || lower_[at_] == '-')) ++at_;
  }
  bool eat(std::string_view what) {
    if (word() != what) return false;
    step();
    return true;
  }

  // seven, twenty-one
  std::optional<long> below_hundred() {
    if (const auto small = find(kSmall, word())) return step(), small;
    const auto tens = find(kTens, word());
    if (!tens) return std::nullopt;
    step();
    const auto small = find(kSmall, word());
    if (!small || *small == 0 || *small > 9) return tens;
    step();
    return *tens + *small;
  }

  std::optional<long> integer() {
    auto value = below_hundred();
    if (!value) return std::nullopt;
    long total = 0;
    while (true) {
      if (const auto scale = find(kScales, word()); scale && *value < 1000) {
        step();
        *value *= *scale;
        if (*scale >= 1000) total += std::exchange(*value, 0);
      } else {
        const size_t start = at_;
        if (*value + total >= 100) eat("and");
        const auto more = *value + total >= 100 ? below_hundred() : std::nullopt;
        if (!more) return at_ = start, total + *value;
        *value += *more;
      }
      if (at_ > 200) return std::nullopt;
    }
  }

  std::optional<long> fraction_word() {
    auto name = word();
    if (name.size() > 4 && name.back() == 's' && name != "halves") name.remove_suffix(1);
    const auto part = find(kParts, name);
    if (part) step();
    return part;
  }

  std::string_view text_;
  const std::string lower_;
  size_t at_ = 0;
};

}  // namespace

std::optional<Number> number_in_words(std::string_view text) {
  if (text.size() > 200) return std::nullopt;
  return Words(text).number();
}

}  // namespace longshot::math

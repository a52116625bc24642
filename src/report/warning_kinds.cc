#include "report/warning_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "report/sample_reader.h"

namespace longshot::report {
namespace {

constexpr size_t kLongestText = 600;  // bytes

struct Kind {
  std::string text;
  int64_t count = 0, first = 0, last = 0;  // first and last step
};

// The text with # for each run of digits.
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!digit) out += c;
    if (digit && !out.ends_with('#')) out += '#';
  }
  return out;
}

std::string when(const Kind& kind) {
  const std::string times = kind.count > 1 ? fmt::format("{} times, ", kind.count) : "";
  if (kind.last == 0) return times + "at the start";
  if (kind.first == kind.last) return fmt::format("{}in iteration {}", times, kind.last);
  return kind.first == 0 ? fmt::format("{}from the start to iteration {}", times, kind.last)
                         : fmt::format("{}in iterations {} to {}", times, kind.first, kind.last);
}

std::vector<Kind> kinds_of(const std::vector<LoggedWarning>& warnings,
                           const std::vector<const char*>& said) {
  std::vector<Kind> kinds;
  std::map<std::string, size_t> index_of;
  for (const LoggedWarning& warning : warnings) {
    const auto contains = [&](const char* words) {
      return warning.text.find(words) != std::string::npos;
    };
    if (std::ranges::any_of(said, contains)) continue;
    const auto [place, is_new] = index_of.emplace(without_numbers(warning.text), kinds.size());
    if (is_new) kinds.push_back({.text = "", .first = warning.step});
    Kind& kind = kinds[place->second];
    kind.text = warning.text;
    kind.last = warning.step;
    ++kind.count;
  }
  return kinds;
}

}  // namespace

std::vector<Trouble> warning_kinds(const std::vector<LoggedWarning>& warnings,
                                   const std::vector<const char*>& said) {
  const std::vector<Kind> kinds = kinds_of(warnings, said);
  std::vector<Trouble> out;
  for (const Kind& kind : kinds) {
    if (out.size() == kMostKinds) {
      out.push_back({fmt::format("{} more kinds of warnings are in warnings.jsonl",
                                 kinds.size() - kMostKinds),
                     ""});
      break;
    }
    out.push_back({shortened(kind.text, kLongestText), when(kind)});
  }
  return out;
}

}  // namespace longshot::report

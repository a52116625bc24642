#include "math/compare/equal.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/text/text.h"
#include "math/read/latex.h"
#include "math/read/rational.h"

namespace longshot::math {
namespace {

struct Case {
  std::string form, truth, answer;
  bool expected = false;
  Json options;
};

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> out(1);
  for (const char c : line) {
    if (c == '\t') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// tests/grader/cases.tsv
std::vector<Case> read_cases() {
  const auto text = read_file(LONGSHOT_SOURCE_DIR "/tests/grader/cases.tsv");
  EXPECT_TRUE(text.ok()) << text.status().to_string();
  std::vector<Case> cases;
  std::string form;
  std::istringstream lines(text.ok() ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) form = line.substr(3);
    if (line.empty() || line[0] == '#') continue;
    const auto fields = fields_of(line);
    EXPECT_GE(fields.size(), 3u) << line;
    Case c{form, fields.at(1), fields.at(2), fields.at(0) == "1", Json::object()};
    if (fields.size() > 3) c.options = *parse_json(fields[3], line);
    cases.push_back(std::move(c));
  }
  return cases;
}

EqualOptions options_of(const Json& json) {
  EqualOptions out;
  out.digits = json.value("digits", out.digits);
  out.strict = json.value("strict", out.strict);
  out.set_relation = json.value("set_relation", out.set_relation);
  out.bare_percent = json.value("bare_percent", out.bare_percent);
  out.ignore_units = json.value("ignore_units", out.ignore_units);
  out.positive = json.value("positive", out.positive);
  return out;
}

TEST(EqualAnswers, JudgesEveryCaseOfTheTable) {
  std::map<std::string, std::pair<int, int>> by_form;  // right, all
  int accepted_wrongly = 0;
  const auto cases = read_cases();
  for (const auto& c : cases) {
    const auto equal = equal_answers(c.answer, c.truth, options_of(c.options));
    ASSERT_TRUE(equal.ok()) << c.form << ": " << c.answer << " ~ " << c.truth << ": "
                            << equal.status().to_string();
    auto& [right, all] = by_form[c.form];
    ++all;
    right += *equal == c.expected;
    accepted_wrongly += *equal && !c.expected;
    EXPECT_EQ(*equal, c.expected) << c.form << ": answer " << c.answer << ", truth " << c.truth
                                  << " " << c.options;
  }
  for (const auto& [form, count] : by_form)
    std::printf("%4d of %4d  %s\n", count.first, count.second, form.c_str());
  EXPECT_EQ(accepted_wrongly, 0);
  EXPECT_GE(cases.size(), 1000u);
}

TEST(EqualAnswers, NumbersAreSymmetric) {
  int numbers = 0;
  for (const auto& c : read_cases()) {
    const auto a = parse_number(plain_math(c.answer)), t = parse_number(plain_math(c.truth));
    if (!a || !t) continue;
    ++numbers;
    EXPECT_EQ(numbers_agree(*a, *t), numbers_agree(*t, *a)) << c.answer << " ~ " << c.truth;
  }
  EXPECT_GT(numbers, 100);
}

TEST(EqualAnswers, EveryTruthEqualsItself) {
  for (const auto& c : read_cases()) {
    const auto equal = equal_answers(c.truth, c.truth);
    EXPECT_TRUE(equal.ok() && *equal) << c.truth;
  }
}

}  // namespace
}  // namespace longshot::math

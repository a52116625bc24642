#include "tokenizer/jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace longshot::tokenizer::jinja {
namespace {

using ::testing::HasSubstr;

std::string render(const std::string& source, const std::string& variables = "{}") {
  const auto made = Template::parse(source);
  if (!made.ok()) return made.status().message();
  Variables given;
  const OrderedJson json = OrderedJson::parse(variables);
  for (const auto& item : json.items()) given.emplace_back(item.key(), value_of(item.value()));
  const auto text = made->render(given);
  return text.ok() ? text->text : text.status().message();
}

TEST(JinjaTest, WhiteSpaceIsTrimmedAsTransformersSetsIt) {
  EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
  EXPECT_EQ(render("a {%- if true -%} b {%- endif %} c"), "ab c");
  EXPECT_EQ(render("  {%+ if true %}x{% endif %}"), "  x");
  EXPECT_EQ(render("{# note #}\n{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
}

TEST(JinjaTest, PythonsTexts) {
  EXPECT_EQ(render("{{ [1, 2.0, 'a\\'', none, true, {'k': (1,)}] }}"),
            "[1, 2.0, \"a'\", None, True, {'k': (1,)}]");
  EXPECT_EQ(render("{{ 1e16 }} {{ 0.1 + 0.2 }} {{ 7 // -2 }} {{ -7 % 3 }} {{ 2 ** 3 ** 2 }}"),
            "1e+16 0.30000000000000004 -4 2 64");
  EXPECT_EQ(render("{{ 'äöü'[1:] }}{{ 'ß'.upper() }}{{ 'abc'[::-1] }}{{ 'a b'.split()[-1] }}"),
            "öüSScbab");
  EXPECT_EQ(render("{{ d | tojson(indent=2) }}", R"({"d": {"b": [], "a": "é<"}})"),
            "{\n  \"b\": [],\n  \"a\": \"é<\"\n}");
}

TEST(JinjaTest, LoopsMacrosAndNamespaces) {
  EXPECT_EQ(render("{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}{{ loop.last }}{% else %}-"
                   "{% endfor %}"),
            "1False2True");
  EXPECT_EQ(render("{% set ns = namespace(n=0) %}{% for x in range(9) %}{% if x == 4 %}{% break %}"
                   "{% endif %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}"),
            "6");
  EXPECT_EQ(render("{% macro f(a, b='y') %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}"
                   "{{ f('x') }}{% call f(1) %}z{% endcall %}"),
            "xy1yz");
  EXPECT_EQ(render("{% for x in t recursive %}{{ x.n }}{{ loop(x.c) if x.c }}{% endfor %}",
                   R"({"t": [{"n": 1, "c": [{"n": 2}]}, {"n": 3}]})"),
            "123");
}

TEST(JinjaTest, UndefinedValuesAndErrors) {
  EXPECT_EQ(
      render("[{{ x }}{{ x is defined }}{{ d.a is none }}{{ d.q }}]", R"({"d": {"a": null}})"),
      "[FalseTrue]");
  EXPECT_EQ(render("{{ x is sequence }}{{ x is iterable }}{{ x is mapping }}"), "TrueTrueFalse");
  EXPECT_THAT(render("\n{{ x.y }}"), HasSubstr("line 2 of the chat template: 'x' is undefined"));
  EXPECT_THAT(render("{{ d.a.b }}", R"({"d": {}})"), HasSubstr("has no attribute 'a'"));
  EXPECT_THAT(render("{{ [].append(1) }}"), HasSubstr("unsafe"));
  EXPECT_THAT(render("{{ 1 | nope }}"), HasSubstr("No filter named 'nope'"));
  EXPECT_THAT(render("{% frob %}"), HasSubstr("unknown statement 'frob'"));
  for (const char* refused : {"{% include 'a' %}", "{% import 'a' as b %}", "{% extends 'a' %}",
                              "{{ x | random }}", "{{ x | wordwrap }}"})
    EXPECT_THAT(render(refused), HasSubstr("not supported")) << refused;
}

TEST(JinjaTest, GenerationsAreMarked) {
  const auto made = Template::parse("a{% generation %}bc{% endgeneration %}d");
  const auto text = made->render({}, {}, true);
  ASSERT_TRUE(text.ok());
  ASSERT_EQ(text->generations.size(), 1u);
  EXPECT_EQ(text->text.substr(text->generations[0].begin, 2), "bc");
  const auto hidden =
      Template::parse("{% macro m() %}{% generation %}b{% endgeneration %}{% endmacro %}{{ m() }}");
  EXPECT_FALSE(hidden->render({}, {}, true).ok());
}

TEST(JinjaTest, NothingNestsOrGrowsWithoutEnd) {
  for (const char* bracket : {"(", "[", "{", "-", "not ", "x[", "f(", "1 if ", "x|f(", "{% if x %}",
                              "{% for x in y %}", "x.y.", "1+", "a~"}) {
    std::string source = "{{ ";
    while (source.size() < 1'000'000) source += bracket;
    EXPECT_FALSE(Template::parse(source).ok()) << bracket;
  }
  EXPECT_THAT(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("too deeply"));
  EXPECT_THAT(render("{% set ns = namespace(x=[]) %}{% for i in range(100000) %}"
                     "{% set ns.x = [ns.x] %}{% endfor %}"),
              HasSubstr("too deeply"));
  EXPECT_THAT(render("{% set ns = namespace(x='a') %}{% for i in range(100) %}"
                     "{% set ns.x = ns.x + ns.x %}{% endfor %}"),
              HasSubstr("too"));
  EXPECT_THAT(render("{{ 'x' * 10 ** 30 }}"), HasSubstr("too large"));
  EXPECT_THAT(render("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
                     "{% endfor %}"),
              HasSubstr("too many steps"));
  EXPECT_THAT(render("{{ 2 ** 200 }}"), HasSubstr("128 bits"));
}

TEST(JinjaTest, RandomBytesAndDamagedTemplatesNeverCrash) {
  const std::string source =
      "{%- for m in messages -%}{{ m['role'] ~ m.content|trim + '\\n' }}{% if loop.last and x is "
      "defined %}{{ {'a': [1, 2][::-1]} | tojson(indent=2) }}{% endif %}{% endfor %}"
      "{% macro f(a, b=1) %}{{ a|default('x', true) }}{% endmacro %}{{ f(1, b=2) }}{# c #}";
  std::mt19937 random(7);
  const std::string alphabet = "{}%#-+()[]'\"|.,: \nabfilorx019~*/=<>!\\_\xc3\xa9";
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = source;
    for (int n = static_cast<int>(random() % 6); n >= 0; --n) {
      const size_t at = random() % damaged.size();
      if (random() % 2 == 0) damaged[at] = alphabet[random() % alphabet.size()];
      if (random() % 3 == 0) damaged.erase(at, random() % 9);
      if (random() % 3 == 0) damaged.insert(at, 1, alphabet[random() % alphabet.size()]);
      if (damaged.empty()) damaged = "{";
    }
    render(damaged, R"({"messages": [{"role": "user", "content": " é "}]})");
  }
}

}  // namespace
}  // namespace longshot::tokenizer::jinja

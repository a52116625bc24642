// Damaged templates with random values. Each must give a text or an error that names a line, within
// its limit of steps. LONGSHOT_FUZZ_ROUNDS=N runs N rounds; the sanitizers' presets run this too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tokenizer/chat/chat_template.h"
#include "tokenizer/jinja/template.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

using ::testing::HasSubstr;

// Templates with every statement and most kinds of expressions.
constexpr const char* kSeeds[] = {
    "{%- for m in messages if m.role != 'x' -%}{{ m['role'] ~ m.content|trim + '\\n' }}{{ "
    "loop.index0 }}"
    "{% if loop.last and x is defined %}{{ {'a': [1, 2][::-1]} | tojson(indent=2) }}{% elif x %}-"
    "{% else %}{{ loop.previtem.role }}{% endif %}{% endfor %}{# c #}",
    "{% macro f(a, b=1) %}{{ a|default('x', true) }}{{ caller(b) if caller }}{{ varargs }}{{ "
    "kwargs }}"
    "{% endmacro %}{{ f(1, b=2) }}{% call(x) f('q', 3, k=4) %}{{ x }}{{ messages|length }}{% "
    "endcall %}",
    "{% set ns = namespace(n=0, t='') %}{% for v in x recursive %}{% set ns.n = ns.n + 1 %}{{ v }}"
    "{{ loop(v.c) if v.c }}{% if ns.n > 3 %}{% break %}{% else %}{% continue %}{% endif %}{% else "
    "%}e"
    "{% endfor %}{% set ns.t %}{{ ns.n }}{% endset %}{{ ns.t|upper }}",
    "{% filter replace('a', 'b')|upper %}{{ x }}{% endfilter %}{% with a = x, b = 2 %}{{ a }}{{ b "
    "* 3 }}"
    "{% endwith %}{% block b scoped %}{{ messages[0].content.split('</t>')[-1].strip() }}{% "
    "endblock %}"
    "{% generation %}{{ messages|map(attribute='role')|join(',') }}{% endgeneration %}",
    "{% set a, b = (1, 2) %}{{ '%s-%05.1f' % ('a', 2.5) }}{{ '{0:>5}{x}'.format(a, x=b) }}{{ "
    "x[1:-1:2] }}"
    "{{ range(3)|list }}{{ x|groupby('role')|list }}{{ dict(a=1, **d) }}{{ 7 // 2 ** 3 % 4 }}"
    "{{ x|selectattr('role', 'equalto', 'user')|list }}{{ strftime_now('%Y') }}{% raw %}{{{% "
    "endraw %}"};
constexpr const char* kPieces[] = {"{%",
                                   "%}",
                                   "{{",
                                   "}}",
                                   "{%-",
                                   "-%}",
                                   "{#",
                                   "#}",
                                   "(",
                                   ")",
                                   "[",
                                   "]",
                                   "{",
                                   "}",
                                   "'",
                                   "\"",
                                   "|",
                                   ".",
                                   ",",
                                   ":",
                                   "~",
                                   "+",
                                   "**",
                                   "//",
                                   " if ",
                                   " else ",
                                   " for ",
                                   " in ",
                                   " is ",
                                   " not ",
                                   " and ",
                                   "{% endif %}",
                                   "{% endfor %}",
                                   "{% set x = x %}",
                                   "{% for v in x %}",
                                   "{% if x %}",
                                   "loop",
                                   "caller",
                                   "ns.n",
                                   "x",
                                   "messages",
                                   "|tojson",
                                   "|list",
                                   "|join",
                                   ".items()",
                                   ".split()",
                                   "[::-1]",
                                   "*100",
                                   "*10**9",
                                   "range(9)",
                                   "1e308",
                                   "none",
                                   "\xc3\xa9",
                                   "\xff",
                                   "\n"};

class Fuzzer {
 public:
  explicit Fuzzer(unsigned seed) : random_(seed) {}

  std::string source() {
    std::string text = pick(kSeeds);
    for (size_t n = below(6) + 1; n > 0 && !text.empty(); --n) {
      const size_t at = below(text.size());
      const std::string other = pick(kSeeds);
      switch (below(5)) {
        case 0:
          text.erase(at, below(12));
          break;
        case 1:
          text.insert(at, pick(kPieces));
          break;
        case 2:
          text.replace(at, below(8), pick(kPieces));
          break;
        case 3:
          text.insert(at, other.substr(below(other.size()), below(60)));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(30)));
          break;
      }
    }
    return text;
  }

  OrderedJson value(int depth) {
    switch (below(depth > 0 ? 10 : 7)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return static_cast<int64_t>(random_()) * (below(2) == 0 ? 1 : -1'000'003);
      case 3:
        return below(2) == 0 ? 1e308 : 0.1;
      case 4:
        return "";
      case 5:
        return "a <b> \xc3\xa9\xf0\x9f\x98\x80 </t> {{ x }}\n";
      case 6:
        return std::string(below(2000), 'a');
      case 7: {
        OrderedJson list = OrderedJson::array();
        for (size_t n = below(4); n > 0; --n) list.push_back(value(depth - 1));
        return list;
      }
      default: {
        OrderedJson object = OrderedJson::object();
        for (const char* key : {"role", "content", "c", "items", "", "k"})
          if (below(2) == 0) object[key] = value(depth - 1);
        return object;
      }
    }
  }

  Variables variables() {
    Variables out;
    for (const char* name : {"messages", "x", "d"}) out.emplace_back(name, value_of(value(4)));
    return out;
  }

  size_t below(size_t count) { return random_() % count; }

 private:
  template <size_t N>
  std::string pick(const char* const (&from)[N]) {
    return from[below(N)];
  }

  std::mt19937 random_;
};

TEST(JinjaFuzzTest, DamagedTemplatesOverRandomValuesEndInATextOrAnError) {
  const char* rounds = std::getenv("LONGSHOT_FUZZ_ROUNDS");
  Fuzzer fuzzer(11);
  RenderOptions limits;
  limits.max_steps = 100'000;
  int parsed = 0, rendered = 0;
  for (long round = rounds == nullptr ? 10'000 : std::atol(rounds); round > 0; --round) {
    const auto made = Template::parse(fuzzer.source());
    if (!made.ok()) {
      EXPECT_FALSE(made.status().message().empty());
      continue;
    }
    ++parsed;
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto out = made->render(fuzzer.variables(), limits, fuzzer.below(2) == 0);
      if (out.ok()) {
        ++rendered;
        EXPECT_TRUE(is_valid_utf8(out->text));
        for (const Span& span : out->generations) EXPECT_LE(span.end, out->text.size());
      } else {
        EXPECT_THAT(out.status().message(), HasSubstr("the chat template"));
      }
    }
  }
  EXPECT_GT(parsed, 100);
  EXPECT_GT(rendered, 100);
}

TEST(JinjaFuzzTest, ChatsThatNestOrHoldAnythingAreATextOrAnError) {
  const ChatTemplate chat = ChatTemplate::from_jinja(
      "{% for m in messages %}{{ m.role ~ m.content ~ m.tool_calls|tojson ~ m.x }}{% endfor %}");
  Fuzzer fuzzer(3);
  for (int round = 0; round < 2000; ++round) {
    OrderedJson message = fuzzer.value(5);
    if (message.is_object() && fuzzer.below(2) == 0) message["role"] = "user";
    if (message.is_object() && fuzzer.below(2) == 0) message["content"] = "c";
    const auto read = message_of(message, "row 1");
    if (!read.ok()) continue;
    const auto text = chat.render_chat({*read}, {fuzzer.below(2) == 0});
    EXPECT_TRUE(text.ok() || !text.status().message().empty());
  }
  std::string deep;
  for (int i = 0; i < 400; ++i) deep += "[";
  for (int i = 0; i < 400; ++i) deep += "]";
  EXPECT_FALSE(chat.render_chat({}, {false, "{\"tools\": " + deep + "}"}).ok());
  EXPECT_FALSE(ChatTemplate(chat).set_arguments("{\"tools\": " + deep + "}").ok());
}

// References are counted without atomics, so objects that threads share must not be counted at all.
TEST(JinjaFuzzTest, ThreadsShareATemplateAndItsArguments) {
  ChatTemplate chat = ChatTemplate::from_jinja(
      kSeeds[1] + std::string("{{ tools|tojson }}{{ bos_token }}"), {{"bos_token", "<s>"}});
  ASSERT_TRUE(chat.set_arguments(R"({"tools": [{"name": "f", "list": [1, 2.5, "x"]}]})").ok());
  const auto render = [&] {
    return chat.render({{"user", "hello"}, {"assistant", "world"}}, true).value();
  };
  const std::string expected = render();
  EXPECT_THAT(expected, HasSubstr("[{\"name\": \"f\", \"list\": [1, 2.5, \"x\"]}]<s>"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) EXPECT_EQ(render(), expected);
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace longshot::tokenizer::jinja

#include "base/json_match.h"

#include <gtest/gtest.h>

#include <random>

namespace longshot {
namespace {

bool equal(const Json& actual, const Json& expected) {
  return number_of(actual) && number_of(expected) ? same_number(actual, expected)
                                                  : actual == expected;
}

bool matches(const std::string& text, const std::string& expected) {
  return json_text_matches(text, *parse_json(expected, "test"), equal);
}

TEST(JsonMatch, ValuesAreComparedWhileTheyAreRead) {
  const char* kSame[][2] = {{"1", "1.0"},
                            {" [1, [2, {}], \"x\"] ", "[1,[2,{}],\"x\"]"},
                            {R"({"b": [null], "a": true})", R"({"a": true, "b": [null]})"},
                            {"1208925819614629174706176", "1208925819614629174706176"},
                            {"[]", "[]"}};
  for (const auto& [text, expected] : kSame) EXPECT_TRUE(matches(text, expected)) << text;
  const char* kOther[][2] = {{"1208925819614629174706177", "1208925819614629174706176"},
                             {"[1]", "[1,2]"},
                             {"[1,2,3]", "[1,2]"},
                             {"[[1]]", "[1]"},
                             {"1", "[1]"},
                             {"[]", "{}"},
                             {R"({"a":1})", R"({"a":1,"b":2})"},
                             {R"({"a":1,"c":2})", R"({"a":1,"b":2})"},
                             {R"({"a":1,"a":1})", R"({"a":1,"b":2})"},
                             {R"({"a":1,"a":1})", R"({"a":1})"},
                             {"[1", "[1]"},
                             {"1 1", "1"},
                             {"", "null"},
                             {"1e999", "1"},
                             {"NaN", "null"}};
  for (const auto& [text, expected] : kOther) EXPECT_FALSE(matches(text, expected)) << text;
}

TEST(JsonMatch, NoDepthOfTheTextEndsTheProcess) {
  EXPECT_FALSE(matches(std::string(4 << 20, '['), "[[[]]]"));
  std::string deep = std::string(500, '[') + std::string(500, ']');
  EXPECT_TRUE(matches(deep, deep));
}

// The result equals a comparison of the parsed values, on values that differ in one place or none.
TEST(JsonMatch, RandomValues) {
  std::mt19937 random(1);
  const std::function<Json(int)> make = [&](int depth) -> Json {
    switch (random() % (depth > 0 ? 7 : 5)) {
      case 0:
        return random() % 3;
      case 1:
        return std::string(random() % 3, 'x');
      case 2:
        return nullptr;
      case 3:
        return random() % 2 == 0;
      case 4:
        return 0.5 * static_cast<double>(random() % 4);
      case 5: {
        Json list = Json::array();
        for (unsigned i = random() % 4; i > 0; --i) list.push_back(make(depth - 1));
        return list;
      }
      default: {
        Json object = Json::object();
        for (unsigned i = random() % 4; i > 0; --i)
          object[std::string(1, static_cast<char>('a' + random() % 4))] = make(depth - 1);
        return object;
      }
    }
  };
  const std::function<bool(const Json&, const Json&)> whole = [&](const Json& a, const Json& b) {
    if (a.is_structured() && a.type() == b.type() && a.size() == b.size()) {
      auto x = a.begin();
      for (auto y = b.begin(); y != b.end(); ++x, ++y) {
        if ((a.is_object() && x.key() != y.key()) || !whole(*x, *y)) return false;
      }
      return true;
    }
    return a.is_structured() || b.is_structured() ? false : equal(a, b);
  };
  int same = 0;
  for (int i = 0; i < 20000; ++i) {
    const Json a = make(3), b = i % 3 == 0 ? a : make(3);
    const bool want = whole(a, b);
    same += want;
    ASSERT_EQ(json_text_matches(dump_json(a), b, equal), want) << a << " " << b;
  }
  EXPECT_GT(same, 5000);
}

}  // namespace
}  // namespace longshot

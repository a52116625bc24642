#include "base/json.h"

#include <gtest/gtest.h>

#include <random>

namespace longshot {
namespace {

std::string again(const std::string& text) {
  const auto json = parse_json(text, "t");
  return json.ok() ? dump_json(*json) : "error: " + json.status().message();
}

TEST(Json, NumbersPrintBackAsPythonWritesThem) {
  const std::string long_integer = "1" + std::string(5000, '0') + "1";
  for (const std::string& same :
       {std::string("72.0"), std::string("0.1"), std::string("-0.0"), std::string("1e+16"),
        std::string("9223372036854775807"), std::string("-9223372036854775808"),
        std::string("18446744073709551615"), std::string("18446744073709551616"),
        std::string("-9223372036854775809"), std::string("1208925819614629174706177"),
        std::string("1e400"), std::string("-1.5E+999"), std::string("8e88"), long_integer,
        "-" + long_integer, "[" + long_integer + ",{\"a\":1e999},8e+88,\"1e999\"]"}) {
    EXPECT_EQ(again(same), same == "8e88" ? "8e+88" : same);
  }
  EXPECT_EQ(again("[8e88, 1e400, 8e88, 8E88, \"8e88 \\\" 1e999\"]"),
            "[8e+88,1e400,8e+88,8e+88,\"8e88 \\\" 1e999\"]");
  EXPECT_EQ(again("1e-400"), "0.0") << "as Python's float does";
}

TEST(Json, OrderAndIndentSurviveExactNumbers) {
  const auto json = parse_ordered_json(R"({"b": 1e999, "a": [1, {}, []], "": {"z": "\n"}})", "t");
  ASSERT_TRUE(json.ok()) << json.status().to_string();
  EXPECT_EQ(dump_json(*json), R"({"b":1e999,"a":[1,{},[]],"":{"z":"\n"}})");
  auto plain = *json;
  plain["b"] = 5;
  std::string expected = dump_json(plain, 2);
  expected.replace(expected.find('5'), 1, "1e999");
  EXPECT_EQ(dump_json(*json, 2), expected);
  EXPECT_EQ(dump_json(Json(*json)), R"({"":{"z":"\n"},"a":[1,{},[]],"b":1e999})");
}

TEST(Json, NothingOfALargeNumberIsRounded) {
  const auto json = [](const char* text) { return parse_json(text, "t").value(); };
  const Json power = json("1208925819614629174706176"), next = json("1208925819614629174706177");
  EXPECT_NE(power, next);
  EXPECT_FALSE(same_number(power, next));
  EXPECT_TRUE(same_number(power, json("1208925819614629174706176.0")));
  EXPECT_FALSE(same_number(next, json("1208925819614629174706176.0")));
  EXPECT_FALSE(same_number(json("9007199254740993"), json("9007199254740992.0")));
  EXPECT_TRUE(same_number(json("9007199254740992"), json("9007199254740992.0")));
  EXPECT_TRUE(same_number(json("0"), json("-0.0")));
  EXPECT_TRUE(same_number(json("1.5"), json("15e-1")));
  EXPECT_FALSE(same_number(json("18446744073709551615"), json("-1")));
  EXPECT_FALSE(same_number(json("1"), json("true")));
  EXPECT_EQ(number_of(next), 0x1p80);
  EXPECT_FALSE(number_of(Json("7")));
}

TEST(Json, ExactNumbersSurviveMessagePack) {
  const Json json = parse_json("[1208925819614629174706177, {\"a\": 1e400}, 7]", "t").value();
  EXPECT_EQ(Json::from_msgpack(Json::to_msgpack(json)), json);
}

TEST(Json, NestingIsLimitedAndNotRecursiveBeyondIt) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(again(nested(kMaxJsonDepth)), nested(kMaxJsonDepth));
  EXPECT_EQ(again(nested(kMaxJsonDepth + 1)), "error: t: the JSON nests deeper than 512 levels");
  for (const size_t depth : {size_t{100'000}, size_t{3'000'000}}) {
    EXPECT_NE(again(nested(depth)).find("nests deeper"), std::string::npos);
    EXPECT_NE(again(std::string(depth, '[')).find("nests deeper"), std::string::npos);
    std::string objects;
    for (size_t i = 0; i < depth; ++i) objects += "{\"a\":";
    EXPECT_NE(again(objects).find("nests deeper"), std::string::npos);
  }
}

TEST(Json, WhatIsNotJsonIsAnErrorThatNamesThePlace) {
  for (const char* bad : {"", "[1,]", "{\"a\" 1}", "01", "1.", "+1", "[1e999, 01e999]", "[1e999",
                          "1e999 x", "\"\xff\"", R"("\ud800")", "'a'", "{a: 1}", "// c\n1", "NaN",
                          "[Infinity]", "{\"a\": -Infinity}"}) {
    const std::string message = again(bad);
    EXPECT_TRUE(message.starts_with("error: t: not valid JSON")) << bad << " -> " << message;
  }
  EXPECT_NE(again("[1, NaN]").find("byte 5; NaN and Infinity are not JSON"), std::string::npos)
      << again("[1, NaN]");
  EXPECT_NE(again("{\"a\": -Infinity}").find("write null"), std::string::npos);
}

TEST(Json, TheLastOfDuplicateKeysApplies) {
  EXPECT_EQ(again(R"({"a": {"x": [1]}, "b": 2, "a": 3})"), R"({"a":3,"b":2})");
  const auto unique = parse_json(R"({"a": {"x": 1, "x": 2}})", "t", {.unique_keys = true});
  EXPECT_EQ(unique.status().message(), "t: the JSON has the key 'x' twice");
  EXPECT_TRUE(parse_json(R"({"a": {"x": 1}, "x": 2})", "t", {.unique_keys = true}).ok());
}

TEST(Json, InvalidUtf8IsReplacedWhenWritten) {
  EXPECT_EQ(dump_json(Json{{"a\xff", "b\xc3"}}), "{\"a\xef\xbf\xbd\":\"b\xef\xbf\xbd\"}");
  EXPECT_EQ(dump_json(Json{"\x80"}, 1), "[\n \"\xef\xbf\xbd\"\n]");
}

TEST(Json, IntegersThatDoNotFitAreErrors) {
  const Json object = parse_json(R"({"big": 4294967296, "minus": -1, "half": 1.5, "whole": 2.0,
      "huge": 1208925819614629174706177, "over": 1e400, "list": [1, 4294967296], "text": "1",
      "max": 18446744073709551615})",
                                 "t")
                          .value();
  EXPECT_FALSE(json_get<int>(object, "big", "t").ok());
  EXPECT_EQ(json_get<int64_t>(object, "big", "t").value(), 4294967296);
  EXPECT_FALSE(json_get<uint32_t>(object, "minus", "t").ok());
  EXPECT_EQ(json_get<int>(object, "minus", "t").value(), -1);
  EXPECT_FALSE(json_get<int>(object, "half", "t").ok());
  EXPECT_EQ(json_get<int>(object, "whole", "t").value(), 2);
  EXPECT_FALSE(json_get<int64_t>(object, "huge", "t").ok());
  EXPECT_FALSE(json_get<int64_t>(object, "over", "t").ok());
  EXPECT_FALSE(json_get<int64_t>(object, "max", "t").ok());
  EXPECT_EQ(json_get<uint64_t>(object, "max", "t").value(), UINT64_MAX);
  EXPECT_EQ(json_get<double>(object, "huge", "t").value(), 0x1p80);
  EXPECT_FALSE(json_get<std::vector<int>>(object, "list", "t").ok());
  EXPECT_EQ(json_get<std::vector<int64_t>>(object, "list", "t").value()[1], 4294967296);
  EXPECT_NE(json_get<int>(object, "text", "t").status().message().find("wrong type (string)"),
            std::string::npos);
  EXPECT_NE(json_get<std::string>(object, "huge", "t").status().message().find("beyond 64 bits"),
            std::string::npos);
}

// Random values with random damage: the result equals nlohmann's, and nothing crashes.
TEST(Json, AgreesWithTheLibraryWhereTheLibraryIsExact) {
  std::mt19937 random(7);
  const char* pieces[] = {"[",     "]",           "{",     "}",    ",",    ":",
                          "\"a\"", "\"\\u00e9\"", "1",     "-2.5", "true", "null",
                          "0.25",  " ",           "\"b\"", "0",    "\"",   "\\"};
  size_t valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    for (int n = static_cast<int>(random() % 8); n >= 0; --n)
      text += pieces[random() % std::size(pieces)];
    const Json expected = Json::parse(text, nullptr, false);
    const auto found = parse_json(text, "t");
    ASSERT_EQ(found.ok(), !expected.is_discarded()) << text;
    if (!found.ok()) continue;
    ++valid;
    ASSERT_EQ(dump_json(*found), expected.dump()) << text;
  }
  EXPECT_GT(valid, 3000u);
}

TEST(Json, OrderedObjectsKeepTheFirstPlaceAndTheLastValueOfAKey) {
  const auto json = parse_ordered_json(R"({"b": 1, "a": {"x": 1, "y": 2, "x": 3}, "b": 4})", "t");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(dump_json(*json), R"({"b":4,"a":{"x":3,"y":2}})");
  EXPECT_FALSE(parse_ordered_json(R"({"a": 1, "a": 2})", "t", {.unique_keys = true}).ok());
  EXPECT_FALSE(parse_json(R"({"a": 1, "a": 2})", "t", {.unique_keys = true}).ok());
}

// Takes minutes if each key is compared with all earlier ones.
TEST(Json, OrderedObjectsOfManyKeysAreReadInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 500'000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  const auto json = parse_ordered_json(text + "\"last\":1}", "t");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->size(), 500'001U);
}

}  // namespace
}  // namespace longshot

#include "data/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::data {
namespace {

using testing::HasSubstr;

Content parse(const char* json) {
  const auto content = content_from_json(Json::parse(json), "f:1");
  EXPECT_TRUE(content.ok()) << content.status().message();
  return content.ok() ? *content : Content();
}

std::string error_of(const char* json) {
  return content_from_json(Json::parse(json), "f:1").status().message();
}

TEST(Content, ATextAndAListOfItAreDifferentForms) {
  const Content text = parse(R"("hello")");
  const Content list = parse(R"([{"type":"text","text":"hel"},{"type":"text","text":"lo"}])");
  EXPECT_EQ(text, "hello");
  ASSERT_NE(text.plain(), nullptr);
  EXPECT_EQ(list.plain(), nullptr);
  EXPECT_EQ(text.text(), list.text());
  EXPECT_NE(text, list);
  EXPECT_NE(list, parse(R"([{"type":"text","text":"hello"}])"));
  EXPECT_EQ(parse("null"), "");
  EXPECT_EQ(parse("[]").text(), "");
}

TEST(Content, JsonKeepsTheForm) {
  for (const char* json : {R"("a")", "[]", R"([{"type":"text","text":"a"}])"})
    EXPECT_EQ(dump_json(parse(json).to_json()), json);
}

TEST(Content, TextIsAddedToTheLastPart) {
  Content text = "a";
  text.append("b");
  EXPECT_EQ(text, "ab");
  Content list = parse(R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])");
  list.append("c");
  EXPECT_EQ(dump_json(list.to_json()),
            R"([{"type":"text","text":"a"},{"type":"text","text":"bc"}])");
  Content empty = parse("[]");
  empty.append("c");
  EXPECT_EQ(dump_json(empty.to_json()), R"([{"type":"text","text":"c"}])");
}

TEST(Content, ErrorsNameThePart) {
  EXPECT_THAT(error_of("5"), HasSubstr("f:1: 'content' must be a string or a list"));
  EXPECT_THAT(error_of(R"([{"type":"text","text":"a"},{"type":"image_url","image_url":{}}])"),
              HasSubstr("f:1: part 2 of 'content' is of type 'image_url'; only parts of type "
                        "'text' are supported"));
  EXPECT_THAT(error_of(R"(["a"])"), HasSubstr("part 1 of 'content' must be an object"));
  EXPECT_THAT(error_of(R"([{"text":"a"}])"), HasSubstr("part 1 of 'content' must be an object"));
  EXPECT_THAT(error_of(R"([{"type":"text"}])"),
              HasSubstr("part 1 of 'content': key 'text' is missing"));
  EXPECT_THAT(error_of(R"([{"type":"text","text":5}])"), HasSubstr("'text' has the wrong type"));
}

TEST(Message, SurvivesJson) {
  const Message before{"user", parse(R"([{"type":"text","text":"a"}])")};
  const auto after = message_from_json(Json(to_json(before)), "f:1");
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(*after, before);
  EXPECT_THAT(message_from_json({{"role", "user"}}, "f:1").status().message(),
              HasSubstr("f:1: key 'content' is missing"));
}

}  // namespace
}  // namespace longshot::data

#include "curate/filters/tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

using ::testing::ElementsAre;

TEST(Tags, ComeFromColumnsAndRules) {
  TagOptions options;
  options.columns = {"subject", "level"};
  options.rules =
      parse_json(R"([{"tag": "geometry", "pattern": "(?i)triangle|circle"}])", "rules").value();
  const auto tagger = Tagger::create(options);
  ASSERT_TRUE(tagger.ok());
  const OrderedJson row = {{"extra_info", {{"subject", {"Algebra", "Sets"}}, {"level", 3}}}};
  EXPECT_THAT(*tagger->tags_of(row, "A Triangle"),
              ElementsAre("subject:Algebra", "subject:Sets", "level:3", "geometry"));
  EXPECT_TRUE(tagger->tags_of(OrderedJson::object(), "none")->empty());
}

TEST(Tags, RefuseBadRules) {
  const auto message = [](const char* rules) {
    return check_tag_rules(parse_json(rules, "test").value()).message();
  };
  EXPECT_THAT(message(R"([{"tag": "a", "pattern": "("}])"), ::testing::HasSubstr("tags.rules[0]"));
  EXPECT_THAT(message(R"([{"tag": "a"}])"), ::testing::HasSubstr("'pattern' is missing"));
  EXPECT_THAT(message(R"([{"tag": "a", "pattern": "x", "word": 1}])"),
              ::testing::HasSubstr("'word'"));
  EXPECT_EQ(message("[]"), "");
}

TEST(Tags, OfAModelNeedMoreThanHalfOfItsAnswers) {
  EXPECT_THAT(voted_tags({"Algebra, Sets", "algebra", "sets\nalgebra"}, {}),
              ElementsAre("algebra", "sets"));
  EXPECT_THAT(voted_tags({"algebra", "geometry"}, {}), ElementsAre());
  EXPECT_THAT(voted_tags({"algebra, nonsense"}, {"algebra"}), ElementsAre("algebra"));
}

}  // namespace
}  // namespace longshot::curate

#include "net/fields.h"

#include <gtest/gtest.h>

namespace longshot::net {
namespace {

std::string error_param(const Json& object, const std::function<void(Fields&)>& read) {
  Fields fields(object.dump());
  read(fields);
  fields.finish();
  return fields.ok() ? "none" : fields.error().param;
}

TEST(Fields, ReadsWhatIsThereAndFallsBackOnNullAndMissing) {
  Fields fields(R"({"a": 2, "b": null, "s": ["x", "y"], "t": [1, 2], "flag": true, "f": 0.5})");
  EXPECT_EQ(fields.integer("a", 0, 5), 2);
  EXPECT_EQ(fields.integer("b", 0, 5), std::nullopt);
  EXPECT_EQ(fields.strings("s"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(fields.tokens("t"), (std::vector<data::TokenId>{1, 2}));
  EXPECT_TRUE(fields.boolean("flag", false));
  EXPECT_EQ(fields.number("f", 1), 0.5);
  EXPECT_EQ(fields.number("missing", 1.5), 1.5);
  fields.finish();
  EXPECT_TRUE(fields.ok());
}

TEST(Fields, WrongTypesAndRangesNameTheKey) {
  EXPECT_EQ(error_param({{"a", "2"}}, [](Fields& f) { f.integer("a", 0, 5); }), "a");
  EXPECT_EQ(error_param({{"a", 2.5}}, [](Fields& f) { f.integer("a", 0, 5); }), "a");
  EXPECT_EQ(error_param({{"a", 6}}, [](Fields& f) { f.integer("a", 0, 5); }), "a");
  EXPECT_EQ(error_param({{"a", UINT64_MAX}}, [](Fields& f) { f.integer("a", 0, INT64_MAX); }), "a");
  EXPECT_EQ(error_param({{"a", true}}, [](Fields& f) { f.number("a", 0); }), "a");
  EXPECT_EQ(error_param({{"a", {1}}}, [](Fields& f) { f.strings("a"); }), "a");
  EXPECT_EQ(error_param({{"a", {-1}}}, [](Fields& f) { f.tokens("a"); }), "a");
  EXPECT_EQ(error_param({{"a", {4294967296}}}, [](Fields& f) { f.tokens("a"); }), "a");
}

TEST(Fields, AKeyThatNobodyReadIsAnError) {
  EXPECT_EQ(error_param({{"tempretaure", 1}}, [](Fields& f) { f.number("temperature", 1); }),
            "tempretaure");
  EXPECT_EQ(error_param({{"user", "me"}}, [](Fields& f) { f.ignore({"user"}); }), "none");
}

TEST(Fields, OnlyNeutralValuesOfWhatIsNotOffered) {
  const auto read = [](Fields& f) { f.only("echo", {false}); };
  EXPECT_EQ(error_param({{"echo", true}}, read), "echo");
  EXPECT_EQ(error_param({{"echo", false}}, read), "none");
  EXPECT_EQ(error_param({{"echo", nullptr}}, read), "none");
}

TEST(Fields, TheFirstErrorStays) {
  EXPECT_EQ(error_param({{"a", "x"}, {"b", "y"}},
                        [](Fields& f) {
                          f.number("b", 0);
                          f.number("a", 0);
                        }),
            "b");
}

TEST(Fields, BodiesThatAreNoObjectAreErrors) {
  EXPECT_FALSE(Fields("{").ok());
  EXPECT_FALSE(Fields("[1]").ok());
  EXPECT_NE(Fields("{\"a\": ").error().message.find("byte"), std::string::npos);
  EXPECT_TRUE(Fields("").ok());
}

TEST(Errors, StatusCodesBecomeHttpStatuses) {
  EXPECT_EQ(error_of(exhausted("m")).status, 429);
  EXPECT_EQ(error_of(timeout_error("m")).status, 504);
  EXPECT_EQ(error_of(cancelled("m")).status, 503);
  EXPECT_EQ(error_of(internal_error("m")).status, 500);
  EXPECT_EQ(error_of(invalid_argument("m")).status, 400);
  EXPECT_EQ(error_of(not_found("m")).status, 400);
}

TEST(Errors, TheObjectHasOpenAisFourMembers) {
  const Json json = Json::parse(error_json({404, "no \"x\"", "t", "", "c"}));
  EXPECT_EQ(json,
            (Json{{"error",
                   {{"message", "no \"x\""}, {"type", "t"}, {"param", nullptr}, {"code", "c"}}}}));
}

}  // namespace
}  // namespace longshot::net

#include "reward/code_suite.h"

#include <gtest/gtest.h>

namespace longshot::reward {
namespace {

Json suite(const std::string& truth) {
  const auto made = suite_of(truth);
  EXPECT_TRUE(made.ok()) << truth << ": " << made.status().message();
  return made.ok() ? *made : Json();
}

Json parsed(const std::string& text) { return *parse_json(text, "test"); }

TEST(CodeSuite, GroundTruthsOfKnownDataSets) {
  EXPECT_EQ(suite(R"({"inputs": ["1", "2"], "outputs": ["3", "4"]})"),
            parsed(R"({"tests": [{"input": "1", "output": "3"}, {"input": "2", "output": "4"}],
                       "stop_at_first_failure": true})"));
  EXPECT_EQ(suite(R"({"inputs": [["3", "1 2 3"]], "outputs": [["6", "x"]], "fn_name": null})")["tests"],
            parsed(R"([{"input": "3\n1 2 3", "output": "6\nx"}])"))
      << "lists of lines";
  EXPECT_EQ(suite(R"({"inputs": [[1, "a"], "[2]\n\"b\""], "outputs": [3, "x"], "fn_name": "f"})")["tests"],
            parsed(R"([{"args": [1, "a"], "value": 3}, {"args": [[2], "b"], "value": "x"}])"));
  EXPECT_EQ(suite(R"({"test": "def check(f): pass", "entry_point": "g"})"),
            parsed(R"({"test": "def check(f): pass\ncheck(g)\n\n"})"));
  EXPECT_EQ(suite(R"({"tests": [], "compare": "tokens"})"),
            parsed(R"({"tests": [], "compare": "tokens", "stop_at_first_failure": true})"));
  EXPECT_EQ(suite(R"({"test_list": ["assert f(1)", "assert f(2)"], "test_setup_code": "import x"})"),
            parsed(R"({"test": "import x\nassert f(1)\nassert f(2)\n"})"));
  EXPECT_EQ(suite(R"({"public_tests": {"input": ["1"], "output": ["2"]},
                      "private_tests": {"input": ["3"], "output": ["4"]}})")["tests"],
            parsed(R"([{"input": "1", "output": "2"}, {"input": "3", "output": "4"}])"));
}

TEST(CodeSuite, LiveCodeBench) {
  EXPECT_EQ(suite(R"({"public_test_cases": "[{\"input\": \"1\", \"output\": \"2\", \"testtype\": \"stdin\"}]",
                      "private_test_cases": "eJxrYJlqwwABPRbR1UqZeQWlJUpWCkqGMXlKOgpK+aUlUAEjiEBJanFJSWVBKkiouCQlM0+pNnaKHgCVCRRG"})")["tests"],
            parsed(R"([{"input": "1", "output": "2"}, {"input": "1\n", "output": "2\n"}])"));
  const Json calls = suite(
      R"({"public_test_cases": "[{\"input\": \"1\\n2\", \"output\": \"3\", \"testtype\": \"functional\"}]",
          "metadata": "{\"func_name\": \"add\"}"})");
  EXPECT_EQ(calls["entry_point"], "add");
  EXPECT_EQ(calls["tests"], parsed(R"([{"args": [1, 2], "values": ["3", 3]}])"));
  for (const char* packed : {"eJxrYIqwYGBgiK5WyswrKC1RslJQMozJU9JRUMovLYEKGEEESlKLS0oqC1JBQsUlKZl5SrWxhQx6AGF6Exw=", "eJxrYJmaxsgABhHxQEZ0tVJmXkFpiZKVglLFKCAaKOkoKOWXlkBDzgjELUktLimpLEgFCRSXpGTmKdXGTtEDAHuRn0A="}) {
    const auto made = suite_of(dump_json(Json{{"private_test_cases", packed}}));
    EXPECT_TRUE(made.ok()) << made.status().message();
  }
}

TEST(CodeSuite, APickleThatCallsSomethingIsRefused) {
  const auto made = suite_of(dump_json(Json{{"private_test_cases", "eJxrYJkqxwABPRxJpZk5JZl5xVN6WAuKMvNKpkye0sNYMaV1StAUPQDyFg4J"}}));
  EXPECT_NE(made.status().message().find("LiveCodeBench"), std::string::npos);
}

TEST(CodeSuite, ListsOfCases) {
  EXPECT_EQ(suite(R"([{"input": "1", "output": "2", "testtype": "stdin_stdout"}])")["tests"],
            parsed(R"([{"input": "1", "output": "2"}])"));
  EXPECT_EQ(suite(R"([{"type": "function_call", "fn_name": "f", "input": [1], "output": 2}])"),
            parsed(R"({"entry_point": "f", "tests": [{"args": [1], "value": 2}], "stop_at_first_failure": true})"));
  EXPECT_EQ(suite(R"({"verification_info": "{\"test_cases\": [{\"input\": \"1\", \"output\": \"2\", \"type\": \"stdin_stdout\"}]}"})")
                ["tests"],
            parsed(R"([{"input": "1", "output": "2"}])"));
  EXPECT_EQ(suite(R"({"input_output": "{\"inputs\": [\"1\"], \"outputs\": [\"2\"]}"})")["tests"],
            parsed(R"([{"input": "1", "output": "2"}])"));
}

// APPS and TACO wrap each value; a text may be a value or the JSON of one.
TEST(CodeSuite, ReadingsOfExpectedValues) {
  const auto values = [](const char* outputs) {
    const Json tests = suite(std::string(R"({"fn_name": "f", "inputs": [[1], [2]], "outputs": )") + outputs + "}")["tests"];
    Json all = Json::array();
    for (const Json& test : tests)
      all.push_back(test.contains("values") ? test["values"] : Json::array({test["value"]}));
    return all;
  };
  EXPECT_EQ(values("[3, 4]"), parsed("[[3], [4]]"));
  EXPECT_EQ(values("[[3], [4]]"), parsed("[[[3], 3], [[4], 4]]"));
  EXPECT_EQ(values("[[3], [4, 5]]"), parsed("[[[3]], [[4, 5]]]")) << "not wrapped";
  EXPECT_EQ(values(R"(["101", "true"])"), parsed(R"([["101", 101], ["true", true]])"));
  EXPECT_EQ(values(R"(["101", "abc"])"), parsed(R"([["101"], ["abc"]])")) << "not JSON";
  EXPECT_EQ(values(R"([["101"], ["5"]])"), parsed(R"([[["101"], "101", 101], [["5"], "5", 5]])"));
  EXPECT_EQ(values(R"(["True", "None"])"), parsed(R"([["True", true], ["None", null]])"));
}

TEST(CodeSuite, WhatTheRowSaysIsKept) {
  const Json kept = suite(R"({"inputs": ["1"], "outputs": ["2"], "compare": "tokens", "tolerance": 0.01,
                              "stop_at_first_failure": false, "limits": {"output_bytes": 5}})");
  EXPECT_EQ(kept["compare"], "tokens");
  EXPECT_EQ(kept["tolerance"], 0.01);
  EXPECT_EQ(kept["stop_at_first_failure"], false);
  EXPECT_EQ(kept["limits"]["output_bytes"], 5);
}

TEST(CodeSuite, AGroundTruthThatIsNoneIsAnError) {
  for (const char* bad :
       {"", "42", "{}", "[1]", R"({"inputs": ["1"], "outputs": []})", R"({"inputs": [], "outputs": []})",
        R"({"inputs": ["{"], "outputs": ["1"], "fn_name": "f"})", R"({"test": "def check(f): pass"})",
        R"([{"input": "1", "output": "2", "testtype": "functional"}])",
        R"([{"fn_name": "f", "input": [1], "output": 2}, {"fn_name": "g", "input": [1], "output": 2}])",
        R"({"private_test_cases": "not base64!"})", R"({"input_output": {"input_output": {"input_output":
            {"input_output": {"input_output": {"input_output": {}}}}}}})"})
    EXPECT_FALSE(suite_of(bad).ok()) << bad;
}

}  // namespace
}  // namespace longshot::reward

#include "reward/code/code_suite.h"

#include <gtest/gtest.h>

namespace longshot::reward {
namespace {

Json suite(const std::string& truth) {
  const auto made = suite_of(truth);
  EXPECT_TRUE(made.ok()) << truth << ": " << made.status().message();
  return made.ok() ? *made : Json();
}

Json parsed(const std::string& text) {
  return *parse_json(text, "test");
}

TEST(CodeSuite, GroundTruthsOfKnownDataSets) {
  EXPECT_EQ(suite(R"j({"inputs": ["1", "2"], "outputs": ["3", "4"]})j"),
            parsed(R"j({"tests": [{"input": "1", "output": "3"}, {"input": "2", "output": "4"}],
                       "stop_at_first_failure": true})j"));
  EXPECT_EQ(
      suite(R"j({"inputs": [["3", "1 2 3"]], "outputs": [["6", "x"]], "fn_name": null})j")["tests"],
      parsed(R"j([{"input": "3\n1 2 3", "output": "6\nx"}])j"))
      << "lists of lines";
  EXPECT_EQ(suite(R"j({"inputs": [[1, "a"], "[2]\n\"b\""], "outputs": [3, "x"], "fn_name": "f"})j")
                ["tests"],
            parsed(R"j([{"args": [1, "a"], "value": 3}, {"args": [[2], "b"], "value": "x"}])j"));
  EXPECT_EQ(suite(R"j({"test": "def check(f): pass", "entry_point": "g"})j"),
            parsed(R"j({"test": "def check(f): pass\ncheck(g)\n\n"})j"));
  EXPECT_EQ(suite(R"j({"tests": [], "compare": "tokens"})j"),
            parsed(R"j({"tests": [], "compare": "tokens", "stop_at_first_failure": true})j"));
  EXPECT_EQ(
      suite(R"j({"test_list": ["assert f(1)", "assert f(2)"], "test_setup_code": "import x"})j"),
      parsed(R"j({"test": "import x\nassert f(1)\nassert f(2)\n"})j"));
  EXPECT_EQ(suite(R"j({"public_tests": {"input": ["1"], "output": ["2"]},
                      "private_tests": {"input": ["3"], "output": ["4"]}})j")["tests"],
            parsed(R"j([{"input": "1", "output": "2"}, {"input": "3", "output": "4"}])j"));
}

TEST(CodeSuite, LiveCodeBench) {
  EXPECT_EQ(
      suite(
          R"j({"public_test_cases": "[{\"input\": \"1\", \"output\": \"2\", \"testtype\": \"stdin\"}]",
                      "private_test_cases": "eJxrYJlqwwABPRbR1UqZeQWlJUpWCkqGMXlKOgpK+aUlUAEjiEBJanFJSWVBKkiouCQlM0+pNnaKHgCVCRRG"})j")
          ["tests"],
      parsed(R"j([{"input": "1", "output": "2"}, {"input": "1\n", "output": "2\n"}])j"));
  const Json calls = suite(
      R"j({"public_test_cases": "[{\"input\": \"1\\n2\", \"output\": \"3\", \"testtype\": \"functional\"}]",
          "metadata": "{\"func_name\": \"add\"}"})j");
  EXPECT_EQ(calls["entry_point"], "add");
  EXPECT_EQ(calls["tests"], parsed(R"j([{"args": [1, 2], "values": ["3", 3]}])j"));
  for (const char* packed :
       {"eJxrYIqwYGBgiK5WyswrKC1RslJQMozJU9JRUMovLYEKGEEESlKLS0oqC1JBQsUlKZl5SrWxhQx6AGF6Exw=",
        "eJxrYJmaxsgABhHxQEZ0tVJmXkFpiZKVglLFKCAaKOkoKOWXlkBDzgjELUktLimpLEgFCRSXpGTmKdXGTtEDAHuRn0"
        "A="}) {
    const auto made = suite_of(dump_json(Json{{"private_test_cases", packed}}));
    EXPECT_TRUE(made.ok()) << made.status().message();
  }
}

TEST(CodeSuite, APickleThatCallsSomethingIsRefused) {
  const auto made = suite_of(dump_json(Json{
      {"private_test_cases", "eJxrYJkqxwABPRxJpZk5JZl5xVN6WAuKMvNKpkye0sNYMaV1StAUPQDyFg4J"}}));
  EXPECT_NE(made.status().message().find("LiveCodeBench"), std::string::npos);
}

TEST(CodeSuite, ListsOfCases) {
  EXPECT_EQ(suite(R"j([{"input": "1", "output": "2", "testtype": "stdin_stdout"}])j")["tests"],
            parsed(R"j([{"input": "1", "output": "2"}])j"));
  EXPECT_EQ(
      suite(R"j([{"type": "function_call", "fn_name": "f", "input": [1], "output": 2}])j"),
      parsed(
          R"j({"entry_point": "f", "tests": [{"args": [1], "value": 2}], "stop_at_first_failure": true})j"));
  EXPECT_EQ(
      suite(
          R"j({"verification_info": "{\"test_cases\": [{\"input\": \"1\", \"output\": \"2\", \"type\": \"stdin_stdout\"}]}"})j")
          ["tests"],
      parsed(R"j([{"input": "1", "output": "2"}])j"));
  EXPECT_EQ(suite(R"j({"input_output": "{\"inputs\": [\"1\"], \"outputs\": [\"2\"]}"})j")["tests"],
            parsed(R"j([{"input": "1", "output": "2"}])j"));
}

TEST(CodeSuite, CasesWithTheirOwnMetadataAndTestFiles) {
  EXPECT_EQ(
      suite(
          R"j([{"input": "1\n2", "output": "3", "testtype": "functional", "metadata": {"func_name": "add"}}])j")
          ["entry_point"],
      "add");
  const std::string file = "from solution import f\n\ndef test_a():\n    assert f(1) == 1\n";
  EXPECT_EQ(suite(file)["test"], file + "\n");
  EXPECT_EQ(suite(R"j({"functional": "def check(f): pass\ncheck(Solution().g)"})j")["test"],
            "def check(f): pass\ncheck(Solution().g)\n");
}

TEST(CodeSuite, KeysThatWereIntegersAreInApps) {
  EXPECT_EQ(suite(R"j({"fn_name": "f", "inputs": [[{"1": 2}]], "outputs": [1]})j")["number_keys"],
            true);
  EXPECT_EQ(
      suite(R"j({"fn_name": "f", "inputs": ["{\"1\": 2}"], "outputs": ["1"]})j")["number_keys"],
      true);
  EXPECT_FALSE(
      suite(R"j({"fn_name": "f", "inputs": [[1]], "outputs": [1]})j").contains("number_keys"));
  EXPECT_FALSE(
      suite(R"j([{"fn_name": "f", "input": [{"1": 2}], "output": 1}])j").contains("number_keys"));
}

// APPS and TACO wrap each value in a list; a text may be a value or the JSON of one.
TEST(CodeSuite, ReadingsOfExpectedValues) {
  const auto values = [](const char* outputs) {
    const Json tests = suite(std::string(R"({"fn_name": "f", "inputs": [[1], [2]], "outputs": )") +
                             outputs + "}")["tests"];
    Json all = Json::array();
    for (const Json& test : tests)
      all.push_back(test.contains("values") ? test["values"] : Json::array({test["value"]}));
    return all;
  };
  EXPECT_EQ(values("[3, 4]"), parsed("[[3], [4]]"));
  EXPECT_EQ(values("[[3], [4]]"), parsed("[[[3], 3], [[4], 4]]"));
  EXPECT_EQ(values("[[3], [4, 5]]"), parsed("[[[3]], [[4, 5]]]")) << "not wrapped";
  EXPECT_EQ(values(R"j(["101", "true"])j"), parsed(R"j([["101", 101], ["true", true]])j"));
  EXPECT_EQ(values(R"j(["101", "abc"])j"), parsed(R"j([["101"], ["abc"]])j")) << "not JSON";
  EXPECT_EQ(values(R"j([["101"], ["5"]])j"),
            parsed(R"j([[["101"], "101", 101], [["5"], "5", 5]])j"));
  EXPECT_EQ(values(R"j(["[3]", "[4]"])j"), parsed(R"j([["[3]", [3], 3], ["[4]", [4], 4]])j"));
  EXPECT_EQ(values(R"j(["True", "None"])j"), parsed(R"j([["True", true], ["None", null]])j"));
}

TEST(CodeSuite, WhatTheRowSaysIsKept) {
  const Json kept =
      suite(R"j({"inputs": ["1"], "outputs": ["2"], "compare": "tokens", "tolerance": 0.01,
                              "stop_at_first_failure": false, "limits": {"output_bytes": 5}})j");
  EXPECT_EQ(kept["compare"], "tokens");
  EXPECT_EQ(kept["tolerance"], 0.01);
  EXPECT_EQ(kept["stop_at_first_failure"], false);
  EXPECT_EQ(kept["limits"]["output_bytes"], 5);
}

TEST(CodeSuite, AGroundTruthThatIsNoneIsAnError) {
  for (
      const char* bad :
      {"", "42", "{}", "[1]", R"j({"inputs": ["1"], "outputs": []})j",
       R"j({"inputs": [], "outputs": []})j",
       R"j({"inputs": ["{"], "outputs": ["1"], "fn_name": "f"})j",
       R"j({"test": "def check(f): pass"})j",
       R"j([{"input": "1", "output": "2", "testtype": "functional"}])j",
       R"j([{"fn_name": "f", "input": [1], "output": 2}, {"fn_name": "g", "input": [1], "output": 2}])j",
       R"j({"private_test_cases": "not base64!"})j",
       R"j({"input_output": {"input_output": {"input_output":
            {"input_output": {"input_output": {"input_output": {}}}}}}})j"})
    EXPECT_FALSE(suite_of(bad).ok()) << bad;
}

}  // namespace
}  // namespace longshot::reward

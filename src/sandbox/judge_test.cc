#include "sandbox/judge.h"

#include "sandbox/testing.h"

namespace longshot::sandbox {
namespace {

class Judging : public InSandbox {
 protected:
  static Result<SuiteReport> try_judge(const std::string& code, const Suite& suite,
                                       const std::string& language = "python") {
    return run_suite(*sandbox(), request(language, code), suite, {});
  }
  static SuiteReport judge(const std::string& code, const Suite& suite) {
    auto report = try_judge(code, suite);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : SuiteReport();
  }
  static std::string words(const SuiteReport& report) {
    std::string all;
    for (const CaseResult& result : report.results) all += result.verdict + " ";
    return all;
  }
};

Suite doubling() {
  Suite suite;
  suite.cases = {{"1\n", "2\n", {}, {}}, {"0\n", "0\n", {}, {}}, {"-3\n", "-6\n", {}, {}}};
  return suite;
}

TEST_F(Judging, StreamsAreComparedCaseByCase) {
  EXPECT_TRUE(judge("print(2*int(input()))", doubling()).passed);
  const SuiteReport report = judge("n=int(input())\nif n<0: 1/0\nprint(n)", doubling());
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(words(report), "WA OK RE ");
  EXPECT_NE(report.results[2].message.find("ZeroDivisionError"), std::string::npos);
}

TEST_F(Judging, ItStopsAtTheFirstFailureIfAskedTo) {
  Suite suite = doubling();
  suite.stop_at_first_failure = true;
  EXPECT_EQ(words(judge("print(0)", suite)), "WA ");
}

TEST_F(Judging, CallsAreComparedByValue) {
  Suite suite;
  suite.function = "add";
  suite.cases = {{"", "", {1, 2}, {3}},
                 {"", "", {"a", "b"}, {"ab"}},
                 {"", "", {Json::array({1}), Json::array()}, {Json::array({1})}}};
  EXPECT_TRUE(judge("def add(a, b): return a + b", suite).passed);
  EXPECT_TRUE(
      judge("class Solution:\n  def add(self, a, b):\n    print('noise')\n    return a + b", suite)
          .passed);
  EXPECT_EQ(words(judge("def add(a, b): return a * 3", suite)), "OK WA WA ");
  EXPECT_EQ(words(judge("def sub(a, b): return 0", suite)), "RE RE RE ");
}

TEST_F(Judging, ChecksMustComeToTheirEnd) {
  Suite suite;
  suite.checks = "assert f(2) == 4\nassert f(0) == 0";
  EXPECT_TRUE(judge("def f(x): return 2 * x", suite).passed);
  EXPECT_EQ(words(judge("def f(x): return x", suite)), "RE ");
  for (const char* cheat :
       {"import sys\nsys.exit(0)", "import os\nos._exit(0)",
        "def f(x):\n  import os\n  os._exit(0)",
        "import builtins\nbuiltins.exec = lambda *a: None\nbuiltins.compile = lambda *a: None",
        "import json\njson.dump('x', open('answer.json', 'w'))\nimport os\nos._exit(0)"}) {
    const SuiteReport report = judge(cheat, suite);
    EXPECT_FALSE(report.passed) << cheat;
    EXPECT_FALSE(report.fault) << cheat;
  }
}

TEST_F(Judging, ExpectedAnswersAreNotInTheJail) {
  const std::string look =
      "import os\nsecret = b'SECRET-' + b'ANSWER'\n"
      "for d, ds, fs in os.walk('/'):\n  if d == '/': ds[:] = set(ds) - {'usr', 'root', 'proc', "
      "'dev'}\n"
      "  for f in fs:\n    p = os.path.join(d, f)\n    try:\n"
      "      if secret in open(p, 'rb').read(1000000): print(p)\n    except OSError: pass\n"
      "for fd in range(3, 100):\n  try: os.fstat(fd); print('fd', fd)\n  except OSError: pass\n";
  Suite suite;
  suite.cases = {{"", "SECRET-ANSWER", {}, {}}};
  const SuiteReport report = judge(look, suite);
  EXPECT_EQ(words(report), "WA ");
  EXPECT_EQ(report.results[0].outcome.out, "");
}

TEST_F(Judging, ASpecialJudgeDecides) {
  Suite suite = doubling();
  suite.checker =
      Program{"python",
              "import sys\n_, given, got, answer = sys.argv\n"
              "sys.exit(0 if abs(int(open(got).read())) == abs(int(open(answer).read())) else 1)",
              {},
              {}};
  EXPECT_TRUE(judge("print(-2*int(input()))", suite).passed);
  EXPECT_EQ(words(judge("print(1)", suite)), "WA WA WA ");
  suite.checker->code = "1/0 if False else __import__('os').abort()";
  const SuiteReport report = judge("print(1)", suite);
  EXPECT_TRUE(report.fault);
  EXPECT_EQ(words(report), "XX ") << "its own fault is nobody's wrong answer, and ends the suite";
}

TEST_F(Judging, SuitesWithoutSenseAreRefused) {
  EXPECT_FALSE(try_judge("", Suite()).ok());
  Suite both = doubling();
  both.checks = "1";
  EXPECT_FALSE(try_judge("", both).ok());
  Suite calls = doubling();
  calls.function = "f";
  EXPECT_FALSE(try_judge("", calls, "bash").ok());
}

}  // namespace
}  // namespace longshot::sandbox

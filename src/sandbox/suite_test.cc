#include "sandbox/suite.h"

#include <atomic>
#include <regex>
#include <thread>

#include "sandbox/testing.h"

namespace longshot::sandbox {
namespace {

class SuiteTest : public InSandbox {
 protected:
  static Result<SuiteReport> try_suite(const std::string& code, const Suite& suite,
                                       const std::string& language = "python") {
    return run_suite(*sandbox(), request(language, code), suite, {});
  }
  static SuiteReport run(const std::string& code, const Suite& suite) {
    auto report = try_suite(code, suite);
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : SuiteReport();
  }
  static std::string words(const SuiteReport& report) {
    std::string all;
    for (const CaseResult& result : report.results) all += result.word + " ";
    return all;
  }
};

Suite doubling() {
  Suite suite;
  suite.cases = {{"1\n", "2\n", {}, {}}, {"0\n", "0\n", {}, {}}, {"-3\n", "-6\n", {}, {}}};
  return suite;
}

TEST_F(SuiteTest, StreamsAreComparedCaseByCase) {
  EXPECT_TRUE(run("print(2*int(input()))", doubling()).passed);
  const SuiteReport report = run("n=int(input())\nif n<0: 1/0\nprint(n)", doubling());
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(words(report), "WA OK RE ");
  EXPECT_NE(report.results[2].message.find("ZeroDivisionError"), std::string::npos);
}

TEST_F(SuiteTest, ItStopsAtTheFirstFailureIfAskedTo) {
  Suite suite = doubling();
  suite.stop_at_first_failure = true;
  EXPECT_EQ(words(run("print(0)", suite)), "WA ");
}

TEST_F(SuiteTest, CallsAreComparedByValue) {
  Suite suite;
  suite.function = "add";
  suite.cases = {{"", "", {1, 2}, {3}},
                 {"", "", {"a", "b"}, {"ab"}},
                 {"", "", {Json::array({1}), Json::array()}, {Json::array({1})}}};
  EXPECT_TRUE(run("def add(a, b): return a + b", suite).passed);
  EXPECT_TRUE(
      run("class Solution:\n  def add(self, a, b):\n    print('noise')\n    return a + b", suite)
          .passed);
  EXPECT_EQ(words(run("def add(a, b): return a * 3", suite)), "OK WA WA ");
  EXPECT_EQ(words(run("def sub(a, b): return 0", suite)), "RE RE RE ");
}

TEST_F(SuiteTest, ChecksMustComeToTheirEnd) {
  Suite suite;
  suite.checks = "assert f(2) == 4\nassert f(0) == 0";
  EXPECT_TRUE(run("def f(x): return 2 * x", suite).passed);
  EXPECT_EQ(words(run("def f(x): return x", suite)), "RE ");
  for (const char* cheat :
       {"import sys\nsys.exit(0)", "import os\nos._exit(0)",
        "def f(x):\n  import os\n  os._exit(0)",
        "import builtins\nbuiltins.exec = lambda *a: None\nbuiltins.compile = lambda *a: None",
        "import json\njson.dump('x', open('answer.json', 'w'))\nimport os\nos._exit(0)"}) {
    const SuiteReport report = run(cheat, suite);
    EXPECT_FALSE(report.passed) << cheat;
    EXPECT_FALSE(report.fault) << cheat;
  }
}

// Attempts of a program to pass checks with a wrong answer.
TEST_F(SuiteTest, ChecksAreOutOfTheProgramsReach) {
  const char* const kCheats[] = {
      "def f(x):\n  import sys\n  sys.exit(0)",
      "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0",
      "class E(int):\n  def __eq__(self, o): return True\ndef f(x): return E(9)",
      "class E:\n  def __eq__(self, o): return True\n  def __ne__(self, o): return False\n"
      "  def __sub__(self, o): return 0\n  def __contains__(self, o): return True\n"
      "  def __getattr__(self, n): return self\ndef f(x): return E()",
      "import unittest.mock\ndef f(x): return unittest.mock.ANY",
      "import sys\ndef f(x):\n  frame = sys._getframe()\n  while frame:\n"
      "    frame.f_globals['f'] = frame.f_globals['assert_'] = lambda x: 2 * x\n"
      "    if 'token' in str(frame.f_locals): print(frame.f_locals)\n    frame = frame.f_back\n  "
      "return 0",
      "import gc\ndef f(x):\n  for o in gc.get_objects():\n"
      "    if isinstance(o, dict) and 'token' in o: print(o); return o['token']\n  return 0",
      "import builtins\nbuiltins.AssertionError = type('E', (SystemExit,), {})\n"
      "builtins.compile = builtins.exec = lambda *a: None\ndef f(x): return 0",
      "import json\njson.dumps = lambda *a, **k: '{\"value\": 4}'\ndef f(x): return 0",
      "import os\ndef f(x):\n  for p in os.listdir('/proc'):\n    if p.isdigit():\n"
      "      for n in ('mem', 'maps', 'environ', 'fd/0'):\n"
      "        try: print('READ' if p != str(os.getpid()) and open(f'/proc/{p}/{n}', 'rb').read(1) "
      "else '')\n"
      "        except OSError: pass\n  return 0",
      "import os, signal\ndef f(x):\n  os.kill(os.getppid(), signal.SIGINT)\n  return 0",
      "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'{\"value\": 4}\\n' * 9)\n"
      "  except OSError: pass\ndef f(x): return 0",
      "import threading, os, time\ndef w():\n  while True:\n    for fd in range(3, 20):\n"
      "      try: os.write(fd, b'\\n{\"value\": 1}\\n')\n      except OSError: pass\n"
      "threading.Thread(target=w, daemon=True).start()\ndef f(x): return 0",
      "open('math.py', 'w').write('raise SystemExit(0)')\nopen('secrets.py', 'w').write('raise "
      "SystemExit(0)')\n"
      "def f(x): return 0",
      "class E(Exception):\n  def __reduce__(self): return (exit, (0,))\n"
      "def f(x): raise E(E())",
      "class SystemExit(Exception): code = 0\ndef f(x): raise SystemExit(0)",
      "def f(x): raise StopIteration",
      "import json\njson.dump('x', open('answer.json', 'w'))\ndef f(x): return 0",
      "import os\nos.mkfifo('answer.json')\ndef f(x): return 0",
      "abs = set = sorted = list = lambda *a: 0\ndef f(x): return 0",
      "import sys\nsys.modules['secrets'] = None\nsys.settrace(lambda *a: None)\ndef f(x): return "
      "0",
      "import pickle\nclass P:\n  def __reduce__(self): return (print, ('x',))\ndef f(x): return "
      "pickle.dumps(P())",
  };
  Suite suite;
  suite.checks =
      "import secrets\nfor a, b in zip(map(f, [2, 3]), [4, 6]):\n  assert a == b\n  assert abs(a - "
      "b) < 1\n"
      "  assert set([a]) == set([b])\nassert [f(x) for x in sorted([5, 7])] == [10, 14]";
  EXPECT_TRUE(run("def f(x): return 2 * x", suite).passed);
  for (const char* cheat : kCheats) {
    const SuiteReport report = run(cheat, suite);
    EXPECT_FALSE(report.passed) << cheat;
    EXPECT_FALSE(report.fault) << cheat;
    ASSERT_EQ(report.results.size(), 1u);
    EXPECT_EQ(report.results[0].outcome.out.find("READ"), std::string::npos) << cheat;
    EXPECT_FALSE(std::regex_search(report.results[0].outcome.out, std::regex("[0-9a-f]{32}")))
        << cheat;
  }
}

TEST_F(SuiteTest, ChecksUseAProgramAsIfItWereBesideThem) {
  const std::pair<const char*, const char*> kRight[] = {
      {"def sum(a, b): return a * b", "assert sum(2, 3) == 6"},
      {"class Node:\n  def __init__(s, v): s.v, s.left = v, None\n"
       "def depth(n): return 0 if n is None else 1 + depth(n.left)",
       "r = Node(1)\nr.left = Node(2)\nassert depth(r) == 2 and r.left.v == 2 and isinstance(r, "
       "Node)"},
      {"def order(x): x.sort()", "a = [3, 1, 2]\norder(a)\nassert a == [1, 2, 3]"},
      {"def g(n):\n  yield from range(n)", "assert list(g(3)) == [0, 1, 2]"},
      {"def m(f, xs): return [f(x) for x in xs]",
       "assert m(lambda v: v + 1, [1]) == [2]\nassert m(abs, [-1]) == [1]"},
      {"class E(Exception): pass\ndef m(x): raise E('no')",
       "try:\n  m(1)\n  assert False\nexcept E as e:\n  assert str(e) == 'no'"},
      {"def m(x): return x",
       "import unittest\nfrom solution import m\nclass T(unittest.TestCase):\n"
       "  def test_a(self): self.assertEqual(m(1), 1)"},
      {"class Solution:\n  def f(self, a): return [a, (1, 2), {3}, {'a': b'x'}, 1.5, None, 2**100]",
       "assert Solution().f(2) == [2, (1, 2), {3}, {'a': b'x'}, 1.5, None, 2**100]"}};
  for (const auto& [program, checks] : kRight) {
    Suite suite;
    suite.checks = checks;
    const SuiteReport report = run(program, suite);
    EXPECT_TRUE(report.passed) << program << report.results[0].message;
  }
  Suite tests;
  tests.checks = "def test_a():\n  assert f(1) == 2";
  EXPECT_FALSE(run("def f(x): return x", tests).passed) << "pytest's style runs nothing by itself";
  const std::pair<const char*, const char*> kUnfit[] = {
      {"assert 1 == 1", "say nothing"},
      {"assert f(1) ==", "are not Python"},
      {"import no_such_module\nassert f(1) == 1", "'no_such_module'"},
      {"def test_a(strange): assert f(1) == 1", "'strange'"},
      {"import pytest\npytest.importorskip('x')\nassert f(1) == 1", "pytest.importorskip"}};
  for (const auto& [checks, words] : kUnfit) {
    tests.checks = checks;
    const auto report = try_suite("def f(x): return x", tests);
    ASSERT_EQ(report.status().code(), StatusCode::invalid_argument) << checks;
    EXPECT_NE(report.status().message().find(words), std::string::npos)
        << report.status().message();
  }
}

TEST_F(SuiteTest, OneReadingOfTheExpectedValuesFitsAllCases) {
  Suite suite;
  suite.function = "f";
  suite.cases = {{"", "", {1}, {Json::array({1}), 1}}, {"", "", {2}, {Json::array({2}), 2}}};
  EXPECT_TRUE(run("def f(x): return x", suite).passed);
  EXPECT_TRUE(run("def f(x): return [x]", suite).passed);
  EXPECT_EQ(words(run("def f(x): return x if x < 2 else [x]", suite)), "OK WA ");
}

TEST_F(SuiteTest, AnswersFarLargerThanExpectedAreNotRead) {
  Suite suite;
  suite.function = "f";
  suite.cases = {{"", "", Json::array(), {"x"}}};
  const SuiteReport report = run("def f(): return 'x' * 30000000", suite);
  EXPECT_EQ(words(report), "WA ");
  EXPECT_TRUE(report.results[0].outcome.files.empty());
}

TEST_F(SuiteTest, AnExpectedOutputBeyondTheLimitIsRefused) {
  Suite suite;
  suite.cases = {{"", std::string(2 << 20, 'x'), {}, {}}};
  const auto report = try_suite("print('x')", suite);
  EXPECT_EQ(report.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(report.status().message().find("output_bytes"), std::string::npos);
}

TEST_F(SuiteTest, ABusyMachineChangesNoVerdict) {
  std::atomic<bool> over = false;
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < 6 * std::thread::hardware_concurrency(); ++i)
    busy.emplace_back([&] {
      while (!over) {
      }
    });
  RunRequest asked =
      request("python", "t = __import__('time').process_time\nwhile t() < 0.7: pass\nprint(1)");
  asked.limits.set_processor_time(1);
  asked.limits.idle_seconds = 1;
  const auto report = sandbox()->run(asked, {});
  over = true;
  for (std::thread& thread : busy) thread.join();
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->last().ending, Ending::ok) << report->last().message;
}

TEST_F(SuiteTest, ExpectedAnswersAreNotInTheJail) {
  const std::string look =
      "import os\nsecret = b'SECRET-' + b'ANSWER'\n"
      "for d, ds, fs in os.walk('/'):\n  if d == '/': ds[:] = set(ds) - {'usr', 'root', 'proc', "
      "'dev'}\n"
      "  for f in fs:\n    p = os.path.join(d, f)\n    try:\n"
      "      if secret in open(p, 'rb').read(1000000): print(p)\n    except OSError: pass\n"
      "for fd in range(3, 100):\n  try: os.fstat(fd); print('fd', fd)\n  except OSError: pass\n";
  Suite suite;
  suite.cases = {{"", "SECRET-ANSWER", {}, {}}};
  const SuiteReport report = run(look, suite);
  EXPECT_EQ(words(report), "WA ");
  EXPECT_EQ(report.results[0].outcome.out, "");
}

TEST_F(SuiteTest, ASpecialJudgeDecides) {
  Suite suite = doubling();
  suite.checker =
      Program{"python",
              "import sys\n_, given, got, answer = sys.argv\n"
              "sys.exit(0 if abs(int(open(got).read())) == abs(int(open(answer).read())) else 1)",
              {},
              {}};
  EXPECT_TRUE(run("print(-2*int(input()))", suite).passed);
  EXPECT_EQ(words(run("print(1)", suite)), "WA WA WA ");
  suite.checker->code = "1/0 if False else __import__('os').abort()";
  const SuiteReport report = run("print(1)", suite);
  EXPECT_TRUE(report.fault);
  EXPECT_EQ(words(report), "XX ") << "its own fault is nobody's wrong answer, and ends the suite";
}

TEST_F(SuiteTest, SuitesWithoutSenseAreRefused) {
  EXPECT_FALSE(try_suite("", Suite()).ok());
  Suite both = doubling();
  both.checks = "1";
  EXPECT_FALSE(try_suite("", both).ok());
  Suite calls = doubling();
  calls.function = "f";
  EXPECT_FALSE(try_suite("", calls, "bash").ok());
}

}  // namespace
}  // namespace longshot::sandbox

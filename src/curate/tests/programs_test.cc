#include "curate/tests/programs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "sandbox/testing.h"

namespace longshot::curate {
namespace {

// An interpreter that has cyaron.
std::string python() {
  const char* venv = std::getenv("LONGSHOT_VENV");
  return std::string(venv == nullptr ? LONGSHOT_VENV : venv) + "/bin/python";
}

class InJails : public ::testing::Test {
 protected:
  static const Result<std::unique_ptr<Programs>>& made() {
    static const auto programs = [] {
      sandbox::PoolOptions pool = sandbox::test_options();
      pool.python = python();
      return make_sandbox_programs(
          pool, {.generator_seconds = 1, .submission_seconds = 1, .memory_mb = 256, .max_kb = 4});
    }();
    return programs;
  }
  void SetUp() override { NEED_JAILS(made().status()); }

  static ProgramRun generate(const std::string& code, int number, uint64_t seed = 1) {
    const auto run = (*made())->generate(code, seed, number);
    EXPECT_TRUE(run.ok()) << run.status().message();
    return run.ok() ? *run : ProgramRun();
  }
  static ProgramRun run(const std::string& language, const std::string& code,
                        const std::string& input = "") {
    const auto run = (*made())->run({language, code}, input);
    EXPECT_TRUE(run.ok()) << run.status().message();
    return run.ok() ? *run : ProgramRun();
  }
};

constexpr const char* kGenerator = R"(
import sys, random
from cyaron import *
assert __name__ == "__main__"
print(sys.argv[1:], random.random(), randint(1, 10**9), String.random(8), Vector.random(2, [(1, 100)], 1))
print(Graph.tree(6).to_str(shuffle=True))
)";

TEST_F(InJails, AGeneratorIsAFunctionOfSeedAndCase) {
  const ProgramRun first = generate(kGenerator, 3);
  ASSERT_TRUE(first.ok) << first.why;
  EXPECT_TRUE(first.output.starts_with("['3'] ")) << first.output;
  EXPECT_EQ(generate(kGenerator, 3).output, first.output);
  EXPECT_NE(generate(kGenerator, 4).output.substr(6), first.output.substr(6));
  EXPECT_NE(generate(kGenerator, 3, 2).output, first.output);
}

TEST_F(InJails, WhatGoesWrongIsSaid) {
  EXPECT_NE(generate("import sys\nsys.exit('no luck')", 1).why.find("no luck"), std::string::npos);
  const ProgramRun crash = generate("print(1)\nprint(nothing)", 1);
  EXPECT_FALSE(crash.ok);
  EXPECT_NE(crash.why.find("NameError"), std::string::npos) << crash.why;
  EXPECT_TRUE(crash.why.starts_with("RE ")) << crash.why;
  EXPECT_TRUE(generate("while True: pass", 1).why.starts_with("TO ")) << "no time limit";
  EXPECT_TRUE(generate("print('x' * 5000)", 1).why.starts_with("OL ")) << "no output limit";
  EXPECT_NE(generate("import sys\nsys.stdout.buffer.write(b'\\xff')", 1).why.find("UTF-8"),
            std::string::npos);
  EXPECT_TRUE(run("cpp", "int main( {").why.starts_with("CE ")) << "no compiler message";
}

TEST_F(InJails, SubmissionsReadTheInput) {
  EXPECT_EQ(run("python", "print(int(input()) * 2)", "21\n").output, "42\n");
  EXPECT_EQ(
      run("cpp", "#include <iostream>\nint main() { int x; std::cin >> x; std::cout << 2 * x; }",
          "21\n")
          .output,
      "42");
  EXPECT_TRUE((*made())->offers("cpp"));
  EXPECT_FALSE((*made())->offers("cobol"));
}

TEST_F(InJails, AnInterpreterWithoutCyaronIsRefused) {
  const std::string bare = LONGSHOT_BIN_DIR "/../python_without_packages";
  ASSERT_EQ(std::system((python() + " -m venv --without-pip " + bare).c_str()), 0);
  sandbox::PoolOptions pool = sandbox::test_options(1);
  pool.python = std::filesystem::canonical(bare).string() + "/bin/python";
  const auto programs = make_sandbox_programs(pool, {});
  EXPECT_EQ(programs.status().code(), StatusCode::invalid_argument) << programs.status().message();
  EXPECT_NE(programs.status().message().find("cannot import cyaron"), std::string::npos)
      << programs.status().message();
}

}  // namespace
}  // namespace longshot::curate

#include "sandbox/sandbox.h"

#include "sandbox/testing.h"

namespace longshot::sandbox {
namespace {

TEST(Sandbox, APlainPathStaysBelow) {
  for (const char* good : {"a", "a/b.txt", "..a", "a..", ".hidden", "a b"})
    EXPECT_TRUE(is_plain_path(good)) << good;
  for (const char* bad : {"", "/a", "a/", "a//b", "..", "a/../b", "./a", ".", "a\nb"})
    EXPECT_FALSE(is_plain_path(bad)) << bad;
}

TEST(CompileCache, ForgetsTheLeastRecentlyUsed) {
  CompileCache cache(10);
  const auto text = [](const char* s) { return std::make_shared<const std::string>(s); };
  cache.insert("a", text("123"));
  cache.insert("b", text("123"));
  EXPECT_EQ(*cache.find("a"), "123");
  cache.insert("c", text("123"));
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(cache.bytes(), 8u);
  // Larger than the whole cache: kept until the next insertion.
  cache.insert("d", text("12345678901234567890"));
  EXPECT_NE(cache.find("d"), nullptr);
  EXPECT_EQ(cache.find("a"), nullptr);
}

class Running : public InSandbox {
 protected:
  static RunReport run(const RunRequest& request) {
    auto report = sandbox()->run(request, {});
    EXPECT_TRUE(report.ok()) << report.status().message();
    return report.ok() ? *report : RunReport();
  }
};

TEST_F(Running, EveryLanguageSaysHello) {
  const std::pair<const char*, const char*> programs[] = {
      {"python", "print('hello ' + input())"},
      {"cpp",
       "#include <iostream>\nint main() { std::string s; std::cin >> s; std::cout << \"hello \" << "
       "s << '\\n'; }"},
      {"c",
       "#include <stdio.h>\nint main(void) { char s[9]; scanf(\"%8s\", s); printf(\"hello %s\\n\", "
       "s); }"},
      {"bash", "read s; echo hello $s"},
      {"javascript", "console.log('hello ' + require('fs').readFileSync(0, 'utf8').trim())"}};
  for (const auto& [language, code] : programs) {
    if (find_language(sandbox()->languages(), language) == nullptr) continue;
    RunRequest asked = request(language, code);
    asked.input = "you\n";
    const RunReport report = run(asked);
    ASSERT_TRUE(report.run) << language << ": " << report.compile->err;
    EXPECT_EQ(report.run->ending, Ending::ok) << language << report.run->message << report.run->err;
    EXPECT_EQ(report.run->out, "hello you\n") << language;
  }
}

TEST_F(Running, ABinaryIsMadeOnce) {
  const RunRequest asked = request("cpp", "int main() { return 7; }");
  EXPECT_TRUE(run(asked).compile);
  const RunReport again = run(asked);
  EXPECT_FALSE(again.compile);
  EXPECT_EQ(again.run->exit_code, 7);
  RunRequest other = asked;
  other.program.files = {{"header.h", "", false}};
  EXPECT_TRUE(run(other).compile) << "what the compiler sees is another";
}

TEST_F(Running, WhatDoesNotCompileIsTheProgramsFault) {
  const std::pair<const char*, const char*> programs[] = {
      {"no C++", "int main( {"},
      {"endless include", "#include \"/dev/zero\"\nint main() {}"},
      {"endless templates",
       "template <int N> struct A { using T = typename A<N + 1>::T; };\nusing B = A<0>::T;\nint "
       "main() {}"},
      {"huge object", "char a[1u << 31] = {1};\nint main() {}"}};
  for (const auto& [what, code] : programs) {
    RunRequest asked = request("cpp", code);
    asked.compile_limits.cpu_seconds = 2;
    asked.compile_limits.wall_seconds = 5;
    asked.compile_limits.memory_bytes = 256 << 20;
    const RunReport report = run(asked);
    ASSERT_FALSE(report.run) << what;
    EXPECT_EQ(report.compile->ending, Ending::compile) << what << ": " << report.compile->message;
  }
}

TEST_F(Running, ImpossibleRequestsAreRefused) {
  const auto refused = [&](const RunRequest& asked) {
    return sandbox()->run(asked, {}).status().message();
  };
  EXPECT_NE(refused(request("cobol", "")).find("python"), std::string::npos)
      << "names those there are";
  RunRequest asked = request("python", "");
  asked.program.files = {{"../x", "", false}};
  EXPECT_NE(refused(asked).find("../x"), std::string::npos);
  asked.program.files = {{"main.py", "", false}};
  EXPECT_NE(refused(asked).find("twice"), std::string::npos);
  asked.program.files = {{"a", "", false}, {"a/b", "", false}};
  EXPECT_NE(refused(asked).find("below another"), std::string::npos);
  asked.program.files.clear();
  asked.fetch = {"/etc/passwd"};
  EXPECT_NE(refused(asked).find("/etc/passwd"), std::string::npos);
  asked.fetch.clear();
  asked.program.code = std::string(asked.limits.disk_bytes, ' ');
  EXPECT_NE(refused(asked).find("disk"), std::string::npos);
}

}  // namespace
}  // namespace longshot::sandbox

#include "base/text/language_names.h"

#include <gtest/gtest.h>

namespace longshot {
namespace {

TEST(LanguageNames, VariantsAndVersions) {
  for (const char* name :
       {"python", "Python", "python3", "python3.11", "py", "py3", "pypy3", "PyPy"})
    EXPECT_EQ(language_of_name(name), "python") << name;
  for (const char* name : {"cpp", "C++", "c++17", "C++2a", "cpp20", "cxx", "cc", "g++", "g++-12",
                           "gnu++20", "clang++"})
    EXPECT_EQ(language_of_name(name), "cpp") << name;
  for (const char* name : {"c", "C", "c11", "c99", "c17", "gcc", "gcc-12"})
    EXPECT_EQ(language_of_name(name), "c") << name;
  for (const char* name : {"bash", "sh", "shell", "zsh", "Shell"})
    EXPECT_EQ(language_of_name(name), "bash") << name;
  for (const char* name : {"javascript", "js", "node", "nodejs", "Node.js", "es6", "ES2020"})
    EXPECT_EQ(language_of_name(name), "javascript") << name;
  for (const char* name :
       {"", " ", "cppp", "pythonic", "text", "json", "3", "java", "rust", "a", "py cpp"})
    EXPECT_EQ(language_of_name(name), "") << name;
}

}  // namespace
}  // namespace longshot

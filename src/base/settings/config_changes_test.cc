#include "base/settings/config_changes.h"

#include <gtest/gtest.h>

namespace longshot {
namespace {

std::string changes(const std::string& before, const std::string& now) {
  std::string text;
  const auto found = config_changes(before, now);
  EXPECT_TRUE(found.ok());
  for (const ConfigChange& change : *found) text += to_text(change) + "\n";
  return text;
}

TEST(ConfigChanges, AreFoundByKeyNotByLine) {
  const std::string before = "[model]\npath = 'a'\n[optim]\nlr = 1e-3\nclip = 1.0\n";
  EXPECT_EQ(changes(before, before), "");
  EXPECT_EQ(changes(before, "optim = {clip = 1.0, lr = 1e-3}\n# other\nmodel.path = \"a\"\n"), "");
  EXPECT_EQ(changes(before, "[model]\nnew = 1\npath = 'a'\n[optim]\nlr = 2e-3\nclip = 1.0\n"),
            "model.new = 1 (was nothing)\noptim.lr = 0.002 (was 0.001)\n");
  EXPECT_EQ(changes(before, "[model]\npath = 'b'\n"),
            "model.path = \"b\" (was \"a\")\noptim.clip = nothing (was 1.0)\n"
            "optim.lr = nothing (was 0.001)\n");
}

TEST(ConfigChanges, ListsAndTablesInListsAreValues) {
  EXPECT_EQ(changes("x = ['a', 'b']\ny = [{type = 'p', n = 1}]",
                    "y = [{n = 1, type = 'p'}]\nx = [\n'a',\n'b']"),
            "");
  EXPECT_EQ(changes("x = ['a']", "x = ['a', 'b']"), "x = [ \"a\", \"b\" ] (was [ \"a\" ])\n");
}

TEST(ConfigChanges, WhatIsNoTomlIsAnError) {
  EXPECT_EQ(config_changes("a = ", "").status().code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace longshot

#include "datasets/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace longshot::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FindFiles : public testing::Test {
 protected:
  FindFiles() : folder_(testing::TempDir() + "longshot_files_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~FindFiles() override { std::filesystem::remove_all(folder_); }

  std::string make(const std::string& name) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "";
    return path;
  }

  std::string folder_;
};

TEST_F(FindFiles, APatternBecomesItsFilesSortedByName) {
  const auto b = make("part-00001-of-00002.jsonl"), a = make("part-00000-of-00002.jsonl");
  const auto other = make("val.jsonl");
  EXPECT_THAT(*find_files({other, folder_ + "/part-*-of-0000?.jsonl"}), ElementsAre(other, a, b));
  EXPECT_THAT(*find_files({folder_ + "/part-0000[1-9]*"}), ElementsAre(b));
}

TEST_F(FindFiles, WhatExistsOrIsNoPatternStaysAsItIs) {
  const auto odd = make("a[1].jsonl");
  make("a1.jsonl");
  EXPECT_THAT(*find_files({odd, "-", "missing.jsonl"}), ElementsAre(odd, "-", "missing.jsonl"));
}

TEST_F(FindFiles, APatternWithoutAMatchIsNamed) {
  EXPECT_THAT(find_files({folder_ + "/*.parquet"}).status().message(), HasSubstr("/*.parquet"));
}

TEST_F(FindFiles, AnOutputMayNotBeAnInput) {
  const auto a = make("a.jsonl"), b = make("b.jsonl");
  std::filesystem::create_symlink(b, folder_ + "/link.jsonl");
  EXPECT_TRUE(check_outputs({a, "-"}, {b, folder_ + "/new.jsonl", "", "-"}).ok());
  for (const std::string& output : {b, folder_ + "/./b.jsonl", folder_ + "/link.jsonl"})
    EXPECT_THAT(check_outputs({folder_ + "/[ab].jsonl"}, {"", output}).message(),
                HasSubstr(output));
  EXPECT_THAT(check_outputs({"/dev/null"}, {"/dev/null"}).message(), testing::IsEmpty());
}

}  // namespace
}  // namespace longshot::datasets

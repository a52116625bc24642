#include "base/run_log/journal_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/os/fs.h"

namespace longshot {
namespace {

class InFolder : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_).ok()); }
  void TearDown() override { EXPECT_TRUE(remove_tree(folder_).ok()); }

  Result<JournalFile> open(int seed = 1, const std::string& model = "m") {
    found_.clear();
    return JournalFile::open(path_, {{"seed", seed}, {"model", model}},
                             [&](OrderedJson&& record, const JournalFile::Place& place) {
                               found_.push_back(record.value("id", ""));
                               places_.push_back(place);
                               return ok_status();
                             });
  }
  void write_two() {
    auto journal = open();
    ASSERT_TRUE(journal.ok()) << journal.status().message();
    ASSERT_TRUE(journal->append({{"id", "a"}}).ok());
    ASSERT_TRUE(journal->append({{"id", "b"}}).ok());
  }
  void add(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("journal" + std::to_string(::getpid()));
  const std::filesystem::path path_ = folder_ / "journal.jsonl";
  std::vector<std::string> found_;
  std::vector<JournalFile::Place> places_;
};

TEST_F(InFolder, RecordsAreFoundAgainAtTheirPlaces) {
  write_two();
  ASSERT_TRUE(open().ok());
  EXPECT_EQ(found_, (std::vector<std::string>{"a", "b"}));
  const std::string text = read_file(path_).value();
  EXPECT_EQ(text.substr(places_[1].begin, places_[1].size), "{\"id\":\"b\"}\n");
}

TEST_F(InFolder, AnUnfinishedLastLineIsRemoved) {
  write_two();
  const std::string whole = read_file(path_).value();
  for (const char* rest : {"{", "{\"id\":\"c\"}"}) {
    add(rest);
    ASSERT_TRUE(open().ok()) << rest;
    EXPECT_EQ(found_.size(), 2u);
    EXPECT_EQ(read_file(path_).value(), whole);
  }
}

TEST_F(InFolder, OtherSettingsAreNamedUnlessNothingDependsOnThem) {
  ASSERT_TRUE(open(1).ok());
  ASSERT_TRUE(open(2).ok()) << "there is no record yet";
  ASSERT_TRUE(open(1).ok());
  write_two();
  const Status status = open(2, "n").status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_EQ(status.message(), folder_.string() +
                                  " was begun with other options: seed was 1, now 2; model was "
                                  "\"m\", now \"n\"; give them again, or another --out");
}

TEST_F(InFolder, ADamagedLineIsNamed) {
  write_two();
  add("[]\n");
  EXPECT_EQ(open().status().message(), path_.string() + ":4: not a line of a journal");
}

}  // namespace
}  // namespace longshot

#include "curate/duplicates/find_duplicates.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <set>

#include "base/os/fs.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "curate/text/shingles.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

class Duplicates : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("find_duplicates_test.{}", ::getpid());
    ASSERT_TRUE(make_directories(folder_).ok());
  }
  void TearDown() override { fs::remove_all(folder_); }

  DuplicateSearch find(const std::vector<std::string>& texts, DuplicateOptions options = {}) {
    std::string all;
    for (const auto& text : texts) all += text + "\n";
    EXPECT_TRUE(write_file_atomic(folder_ / "words.txt", all).ok());
    const auto words = LineFile::open(folder_ / "words.txt");
    EXPECT_TRUE(words.ok());
    auto found = find_duplicates(*words, std::vector<bool>(texts.size(), true), options,
                                 folder_ / "scratch", [](int64_t, int64_t) {});
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_FALSE(fs::exists(folder_ / "scratch"));
    return std::move(*found);
  }
  static std::map<uint32_t, uint32_t> representatives(const DuplicateSearch& found) {
    std::map<uint32_t, uint32_t> out;
    for (const auto& duplicate : found.duplicates) out[duplicate.row] = duplicate.representative;
    return out;
  }

  fs::path folder_;
};

std::vector<std::string> random_words(size_t count, CounterRng& rng, uint64_t vocabulary = 5000) {
  std::vector<std::string> words(count);
  for (auto& word : words) word = fmt::format("w{}", rng.next_below(vocabulary));
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

double similarity(const std::string& a, const std::string& b, int shingle) {
  std::vector<uint64_t> first, second;
  shingle_set(a, shingle, first);
  shingle_set(b, shingle, second);
  return jaccard(first, second);
}

TEST_F(Duplicates, OfShortAndEmptyTexts) {
  const auto found = find({"", "cat", "dog", "cat", "", "cat dog", "dog cat"});
  EXPECT_EQ(representatives(found), (std::map<uint32_t, uint32_t>{{3, 1}}));
  EXPECT_TRUE(found.duplicates[0].exact);
  EXPECT_EQ(found.distinct, 4);
  EXPECT_TRUE(find({}).duplicates.empty());
  EXPECT_TRUE(find({""}).duplicates.empty());
}

TEST_F(Duplicates, FormComponentsWithTheFirstRow) {
  CounterRng rng(1);
  // A chain: each text drops the first two words of the one before and adds two.
  const auto words = random_words(70, rng);
  std::vector<std::string> texts;
  for (int i = 9; i >= 0; --i)
    texts.push_back(joined({words.begin() + 2 * i, words.begin() + 2 * i + 50}));
  const auto found = find(texts);
  ASSERT_EQ(found.duplicates.size(), 9U);
  for (const auto& duplicate : found.duplicates) {
    EXPECT_EQ(duplicate.representative, 0U);
    EXPECT_GE(similarity(texts[duplicate.row], texts[duplicate.linked], 5), 0.8);
    EXPECT_DOUBLE_EQ(duplicate.similarity, similarity(texts[0], texts[duplicate.row], 5));
  }
  EXPECT_LT(found.duplicates.back().similarity, 0.8) << "joined by the chain";
}

// Planted pairs of known similarity, a random number of replaced words each. Every pair at 0.9 or
// above must be found up to the recall, and nothing below the threshold.
TEST_F(Duplicates, AreFoundWithHighRecallAndFullPrecision) {
  CounterRng rng(2);
  std::vector<std::string> texts;
  std::vector<double> planted;
  for (int pair = 0; pair < 3000; ++pair) {
    auto words = random_words(static_cast<size_t>(rng.next_int(40, 160)), rng);
    texts.push_back(joined(words));
    const auto changes = rng.next_below(5);
    for (uint64_t i = 0; i < changes; ++i) words[rng.next_below(words.size())] = "changed";
    texts.push_back(joined(words));
    planted.push_back(similarity(texts[texts.size() - 2], texts.back(), 5));
  }
  DuplicateOptions options;
  const auto found = find(texts, options);
  const auto of = representatives(found);
  int high = 0, found_high = 0, over = 0, found_over = 0;
  for (size_t pair = 0; pair < planted.size(); ++pair) {
    const auto row = static_cast<uint32_t>(2 * pair + 1);
    const bool is_found = of.contains(row) && of.at(row) == row - 1;
    high += planted[pair] >= 0.9;
    found_high += planted[pair] >= 0.9 && is_found;
    over += planted[pair] >= options.threshold;
    found_over += planted[pair] >= options.threshold && is_found;
    EXPECT_TRUE(planted[pair] >= options.threshold || !of.contains(row)) << planted[pair];
  }
  EXPECT_EQ(found.duplicates.size(), static_cast<size_t>(found_over)) << "precision 1";
  printf("recall at Jaccard >= 0.9: %d of %d; >= 0.8: %d of %d\n", found_high, high, found_over,
         over);
  ASSERT_GT(high, 500);
  EXPECT_GE(found_high, 0.99 * high);
  EXPECT_GE(found_over, 0.99 * over);
  options.threads = 1;
  EXPECT_EQ(representatives(find(texts, options)), of) << "threads do not matter";
}

// A bucket of thousands of texts that share boilerplate without being duplicates would cost all
// pairs. The planted duplicates among them are found nevertheless.
TEST_F(Duplicates, InBoilerplateNeedNoQuadraticNumberOfChecks) {
  CounterRng rng(3);
  const auto boilerplate = random_words(60, rng);
  std::vector<std::string> texts;
  std::set<uint32_t> planted;
  constexpr int kTexts = 4000;
  for (int i = 0; i < kTexts; ++i) {
    auto words = boilerplate;
    const auto own = random_words(20, rng, 1000000);
    words.insert(words.end(), own.begin(), own.end());
    texts.push_back(joined(words));
    if (i % 40 != 0) continue;
    words.back() = "changed";
    planted.insert(static_cast<uint32_t>(texts.size()));
    texts.push_back(joined(words));
  }
  const auto found = find(texts);
  std::set<uint32_t> rows;
  for (const auto& duplicate : found.duplicates) rows.insert(duplicate.row);
  printf("largest bucket %ld, %ld checks for %zu rows\n", static_cast<long>(found.largest_bucket),
         static_cast<long>(found.checks), texts.size());
  EXPECT_EQ(rows, planted);
  EXPECT_GT(found.largest_bucket, kTexts / 4) << "the test must have such a bucket";
  EXPECT_LT(found.checks, 20 * kTexts);
}

TEST_F(Duplicates, OfDroppedRowsDoNotCount) {
  ASSERT_TRUE(write_file_atomic(folder_ / "w", "a b c\na b c\na b c\n").ok());
  const auto words = LineFile::open(folder_ / "w");
  const auto found =
      find_duplicates(*words, {false, true, true}, {}, folder_ / "s", [](int64_t, int64_t) {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(representatives(*found), (std::map<uint32_t, uint32_t>{{2, 1}}));
}

TEST_F(Duplicates, StopOnRequest) {
  ASSERT_TRUE(write_file_atomic(folder_ / "w", "a\nb\n").ok());
  const auto words = LineFile::open(folder_ / "w");
  request_stop();
  const auto found =
      find_duplicates(*words, {true, true}, {}, folder_ / "s", [](int64_t, int64_t) {});
  clear_stop_request();
  EXPECT_EQ(found.status().code(), StatusCode::cancelled);
}

}  // namespace
}  // namespace longshot::curate

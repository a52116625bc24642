#include "loop/offline/stored_logprobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/fs.h"
#include "base/os/stop.h"

namespace longshot::loop {
namespace {

using testing::HasSubstr;
using train::PairLogprobs;
using train::PairSequences;

class StoredLogprobs : public testing::Test {
 protected:
  StoredLogprobs() {
    for (int i = 0; i < 20; ++i) {
      tokens_.push_back({1, 2, i, 4});
      pairs_.push_back({{tokens_[0], mask_}, {tokens_[0], mask_}, 2});
    }
    for (size_t i = 0; i < pairs_.size(); ++i) pairs_[i].chosen.tokens = tokens_[i];
    options_.path = testing::TempDir() + "longshot_logprobs_" + std::to_string(::getpid());
    options_.key = {{{"model.path", "abc"}}, checksum_of(pairs_)};
    options_.what = "log-probabilities";
    options_.chunk_tokens = 24;  // three pairs
    options_.save_seconds = 0;
    std::filesystem::remove(options_.path);
  }
  ~StoredLogprobs() override {
    std::filesystem::remove(options_.path);
    clear_stop_request();
  }

  Result<std::vector<PairLogprobs>> run(int fail_at = -1) {
    return stored_logprobs(
        pairs_, options_,
        [&](const std::vector<PairSequences>& chunk) -> Result<std::vector<PairLogprobs>> {
          if (calls_++ == fail_at) return io_error("killed");
          std::vector<PairLogprobs> out;
          for (const PairSequences& pair : chunk)
            out.push_back({-1.0 / (1 + pair.chosen.tokens[2]), -0.1});
          computed_ += static_cast<int>(chunk.size());
          return out;
        });
  }
  std::string message() { return run().status().message(); }

  std::vector<std::vector<data::TokenId>> tokens_;
  std::vector<uint8_t> mask_ = {0, 0, 1, 1};
  std::vector<PairSequences> pairs_;
  StoredLogprobsOptions options_;
  int calls_ = 0, computed_ = 0;
};

TEST_F(StoredLogprobs, AreComputedOnceAndReadAfterwards) {
  const auto first = run();
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->size(), 20U);
  EXPECT_EQ((*first)[3], (PairLogprobs{-0.25, -0.1}));
  EXPECT_EQ(computed_, 20);
  EXPECT_EQ(*run(), *first);
  EXPECT_EQ(computed_, 20);
}

TEST_F(StoredLogprobs, ADeathAnywhereEndsInTheSameFile) {
  ASSERT_TRUE(run().ok());
  const std::string whole = *read_file(options_.path);
  for (int at = 0; at < 7; ++at) {
    std::filesystem::remove(options_.path);
    calls_ = computed_ = 0;
    EXPECT_FALSE(run(at).ok());
    EXPECT_TRUE(run().ok());
    EXPECT_EQ(computed_, 20) << "no pair twice";
    EXPECT_EQ(*read_file(options_.path), whole) << at;
  }
}

TEST_F(StoredLogprobs, CtrlCSavesWhatIsComputed) {
  options_.save_seconds = 1e9;
  request_stop();
  EXPECT_THAT(message(), HasSubstr("stopped after 3 of 20 pairs"));
  clear_stop_request();
  EXPECT_TRUE(run().ok());
  EXPECT_EQ(computed_, 20);
}

TEST_F(StoredLogprobs, OthersAreRefusedByAContinuedRunAndReplacedByANewOne) {
  ASSERT_TRUE(run().ok());
  const std::string before = *read_file(options_.path);
  options_.continued = true;
  options_.key.model["model.path"] = "other";
  EXPECT_THAT(message(), HasSubstr("the reference model has changed"));
  options_.key.model["model.path"] = "abc";
  options_.key.rows ^= 1;
  EXPECT_THAT(message(), HasSubstr("the rows have changed"));
  EXPECT_EQ(*read_file(options_.path), before);
  options_.continued = false;
  computed_ = 0;
  EXPECT_TRUE(run().ok());
  EXPECT_EQ(computed_, 20);
}

TEST_F(StoredLogprobs, AModelThatIsNotThereIsNotCompared) {
  ASSERT_TRUE(run().ok());
  options_.continued = true;
  options_.key.model = Json::object();
  EXPECT_TRUE(run().ok());
  EXPECT_EQ(computed_, 20);
}

TEST_F(StoredLogprobs, EveryDamageIsNoticed) {
  ASSERT_TRUE(run().ok());
  const std::string whole = *read_file(options_.path);
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    ASSERT_TRUE(write_file_atomic(options_.path, bad).ok());
    EXPECT_THAT(message(), HasSubstr("is damaged")) << at;
  }
  for (const size_t length : {size_t{0}, size_t{9}, whole.find('\n'), whole.size() - 1}) {
    ASSERT_TRUE(write_file_atomic(options_.path, whole.substr(0, length)).ok());
    EXPECT_THAT(message(), HasSubstr("is damaged")) << length;
  }
}

TEST(ChecksumOfPairs, DependsOnTokensMasksAndOrder) {
  const std::vector<data::TokenId> a = {1, 2, 3}, b = {1, 2, 4};
  const std::vector<uint8_t> mask = {0, 1, 1}, other = {0, 0, 1};
  const PairSequences pair{{a, mask}, {b, mask}, 1}, swapped{{b, mask}, {a, mask}, 1},
      masked{{a, other}, {b, mask}, 1};
  EXPECT_NE(checksum_of({pair}), checksum_of({swapped}));
  EXPECT_NE(checksum_of({pair}), checksum_of({masked}));
  EXPECT_NE(checksum_of({pair, swapped}), checksum_of({swapped, pair}));
  EXPECT_EQ(checksum_of({pair}), checksum_of({pair}));
}

}  // namespace
}  // namespace longshot::loop

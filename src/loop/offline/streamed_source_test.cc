#include "loop/offline/streamed_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "loop/offline/memory_source.h"

namespace longshot::loop {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Number {
  int64_t value = 0, length = 0;
};

// A row {"n": value}; its length is value % 7 + 1.
class NumberEncoder final : public datasets::ExampleEncoder<Number> {
 public:
  Result<Number> encode(const datasets::Row& row) override {
    LS_ASSIGN_OR_RETURN(const auto value, json_get<int64_t>(row.json, "n", row.where));
    return Number{value, value % 7 + 1};
  }
  int64_t longest(const Number& number) const override { return number.length; }
  int64_t tokens(const Number& number) const override { return number.length; }
};

class Sources : public testing::Test {
 protected:
  Sources() : path_(testing::TempDir() + "longshot_sources_" + std::to_string(getpid())) {
    write(50);
  }
  ~Sources() override { std::filesystem::remove(path_); }

  void write(int rows, const std::string& end = "") {
    std::ofstream file(path_);
    for (int n = 0; n < rows; ++n) file << "{\"n\": " << n << "}\n";
    file << end;
  }

  StreamedSource<Number> streamed(int64_t epochs = 1, int max_length = 6, size_t buffer = 8) {
    return {datasets::RowStream::open({path_}, 50).value(),
            std::make_unique<NumberEncoder>(),
            {.shuffle_buffer = buffer,
             .seed = 5,
             .max_length = max_length,
             .batch_tokens = 12,
             .epochs = epochs}};
  }

  using Batches = std::vector<std::vector<int64_t>>;
  static std::vector<int64_t> values(const ExampleSource<Number>::Batch& batch) {
    std::vector<int64_t> values;
    for (const Number* number : batch) values.push_back(number->value);
    return values;
  }
  static Batches until_finished(ExampleSource<Number>& source) {
    Batches batches;
    while (!source.finished()) {
      const auto batch = source.next();
      EXPECT_TRUE(batch.ok()) << batch.status().to_string();
      if (!batch.ok()) break;
      batches.push_back(values(*batch));
    }
    return batches;
  }

  std::string path_;
};

TEST_F(Sources, AStreamGivesEveryRowOncePerEpochInBatchesWithinTheBudget) {
  testing::internal::CaptureStderr();
  auto source = streamed(2);
  const auto batches = until_finished(source);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("7 rows are longer than 6 tokens"));
  std::vector<int64_t> seen, wanted;
  for (const auto& batch : batches) {
    int64_t tokens = 0;
    for (const int64_t value : batch) tokens += value % 7 + 1;
    EXPECT_LE(tokens, 12);
    seen.insert(seen.end(), batch.begin(), batch.end());
    // No batch spans two epochs.
    EXPECT_TRUE(seen.size() <= 43 || seen.size() - batch.size() >= 43);
  }
  for (int64_t n = 0; n < 50; ++n)
    if (n % 7 != 6) wanted.insert(wanted.end(), {n, n});
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, wanted);
  Metrics metrics;
  source.add_metrics(metrics);
  EXPECT_EQ(metrics["data/epoch"], 2);
  EXPECT_EQ(metrics["data/rows"], 43);
  EXPECT_EQ(metrics["data/dropped_rows"], 7);
}

TEST_F(Sources, AStreamContinuesExactlyAfterEveryBatch) {
  testing::internal::CaptureStderr();
  auto whole = streamed(3), source = streamed(3);
  const Batches all = until_finished(whole);
  for (size_t given = 0; given <= all.size(); ++given) {
    auto again = streamed(3);
    const Json position = *parse_json(dump_json(source.position()), "position");
    ASSERT_TRUE(again.seek(position, "checkpoint").ok());
    const Batches rest(all.begin() + static_cast<long>(given), all.end());
    ASSERT_EQ(until_finished(again), rest) << given;
    if (given < all.size()) {
      ASSERT_EQ(values(*source.next()), all[given]);
    }
  }
  testing::internal::GetCapturedStderr();
}

TEST_F(Sources, AfterTheLastEpochMoreFollow) {
  testing::internal::CaptureStderr();
  auto source = streamed(1);
  const size_t batches = until_finished(source).size();
  for (size_t i = 0; i < 2 * batches; ++i) ASSERT_TRUE(source.next().ok());
  testing::internal::GetCapturedStderr();
}

TEST_F(Sources, WithoutAUsableRowAStreamIsAnErrorAndNotFinished) {
  auto none = streamed(1, /*max_length=*/0);
  EXPECT_FALSE(none.finished());
  EXPECT_THAT(none.next().status().message(),
              HasSubstr("all 50 rows of data.train_files are long"));
  write(0);
  auto empty = streamed();
  EXPECT_FALSE(empty.finished());
  EXPECT_THAT(empty.next().status().message(), HasSubstr("has no row"));
}

TEST_F(Sources, ABadRowIsAnErrorWhenItIsReached) {
  write(10, "{\"m\": 1}\n");
  auto source = streamed(1, 7, 1);
  Result<ExampleSource<Number>::Batch> batch = source.next();
  while (batch.ok()) {
    ASSERT_FALSE(source.finished());
    batch = source.next();
  }
  EXPECT_THAT(batch.status().message(), HasSubstr("key 'n' is missing"));
}

TEST_F(Sources, RowsInMemoryReplayTheirOrder) {
  std::vector<Number> numbers;
  std::vector<int64_t> lengths;
  for (int64_t n = 0; n < 9; ++n) {
    numbers.push_back({n, n + 1});
    lengths.push_back(n + 1);
  }
  const auto make = [&] { return MemorySource<Number>(numbers, lengths, 12, 1, 2); };
  auto source = make(), again = make();
  EXPECT_GE(source.steps(), 8);  // 90 tokens of 12
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(source.next().ok());
  ASSERT_TRUE(again.seek(source.position(), "checkpoint").ok());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(values(*again.next()), values(*source.next()));
  auto stream = streamed();
  EXPECT_THAT(stream.seek(source.position(), "checkpoint").message(),
              HasSubstr("data.streaming=false"));
  EXPECT_THAT(source.seek(stream.position(), "checkpoint").message(),
              HasSubstr("data.streaming=true"));
}

}  // namespace
}  // namespace longshot::loop

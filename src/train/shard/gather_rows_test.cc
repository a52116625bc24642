#include "train/shard/gather_rows.h"

#include <gtest/gtest.h>

#include <cstring>

namespace longshot::train {
namespace {

// Process 1 of two. Gets the part of process 0 from the test, and keeps what it would send.
class SecondOfTwo : public Gang {
 public:
  int rank() const override { return 1; }
  int size() const override { return 2; }
  at::Device device() const override { return at::kCPU; }
  Status exchange(const at::Tensor&, at::Tensor&, const char*) override {
    return internal_error("not expected");
  }
  Status gather(at::Tensor& all, const char*) override {
    const size_t part = all.nbytes() / 2;
    auto* bytes = static_cast<std::byte*>(all.mutable_data_ptr());
    sent.resize(part / sizeof(double));
    std::memcpy(sent.data(), bytes + part, part);
    std::memcpy(bytes, first.data(), std::min(part, first.size() * sizeof(double)));
    return ok_status();
  }
  Status broadcast(std::span<std::byte>, int, const char*) override { return ok_status(); }
  Status barrier(const char*) override { return ok_status(); }
  int64_t bytes_sent() const override { return 0; }

  std::vector<double> first, sent;
};

TEST(GatherRows, CompletesTheRowsOfOtherProcesses) {
  const auto gang = std::make_shared<SecondOfTwo>();
  const Lanes lanes{.count = 4, .gang = gang};
  EXPECT_EQ(lanes.own(), 2);
  EXPECT_EQ(lanes.first_own(), 2);
  // Rows 1 and 0 are those of process 0; row i has i + 1 values.
  const std::vector<std::vector<size_t>> parts = {{1}, {0}, {3}, {2}};
  std::vector<std::vector<double>> values = {{}, {}, {7, 8, 9}, {3, 4, 5, 6}};
  gang->first = {11, 12, 10};
  const auto size_of = [](size_t row) { return static_cast<int64_t>(row) + 1; };
  ASSERT_TRUE(gather_rows(lanes, parts, size_of, values).ok());
  EXPECT_EQ(gang->sent, (std::vector<double>{3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(values, (std::vector<std::vector<double>>{{10}, {11, 12}, {7, 8, 9}, {3, 4, 5, 6}}));
}

TEST(GatherRows, AProcessAloneKeepsItsValues) {
  std::vector<std::vector<double>> values = {{1, 2}, {}, {3}};
  const auto size_of = [&](size_t row) { return static_cast<int64_t>(values[row].size()); };
  const auto before = values;
  ASSERT_TRUE(gather_rows({.count = 2}, {{0, 1}, {2}}, size_of, values).ok());
  EXPECT_EQ(values, before);
}

}  // namespace
}  // namespace longshot::train

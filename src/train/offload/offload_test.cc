#include "train/offload/offload.h"

#include <ATen/ops/arange.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "model/format/testing.h"

namespace longshot::train {
namespace {

using testing::HasSubstr;

class OffloadTest : public testing::Test {
 protected:
  at::Tensor weight_ = at::arange(3'000'000).to(at::kFloat).reshape({1000, 3000});
  at::Tensor bytes_ = at::arange(100).to(at::kByte), one_ = at::arange(1).to(at::kFloat);
  model::TemporaryDirectory folder_;
};

// The descriptors of this process's files below the folder, which have no names.
std::vector<int> files_of(const std::string& folder) {
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry, error);
    if (target.string().starts_with(folder)) found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

int64_t resident_bytes() {
  int64_t mapped = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> mapped >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST_F(OffloadTest, ValuesReturnToTheSamePlaceInEveryHandleAndView) {
  const at::Tensor expected = weight_.clone(), handle = weight_, row = weight_.select(0, 7);
  auto offload = Offload::create(folder_.path(), {weight_, bytes_, one_}).value();
  EXPECT_GE(offload.bytes(), 12'000'000 + 100 + 4);
  EXPECT_TRUE(weight_.equal(expected));
  EXPECT_TRUE(row.equal(expected.select(0, 7)));
  row.add_(1);
  for (int round = 0; round < 3; ++round) {
    const at::Tensor before = weight_.clone();
    const void* place = weight_.data_ptr();
    const int64_t resident = resident_bytes();
    ASSERT_TRUE(offload.out().ok());
    ASSERT_TRUE(offload.out().ok());
    EXPECT_TRUE(offload.is_out());
    EXPECT_LT(resident_bytes(), resident - 11'000'000);
    ASSERT_TRUE(offload.in().ok());
    ASSERT_TRUE(offload.in().ok());
    EXPECT_FALSE(offload.is_out());
    EXPECT_EQ(weight_.data_ptr(), place);
    EXPECT_TRUE(handle.equal(before));
    EXPECT_TRUE(bytes_.equal(at::arange(100).to(at::kByte)));
    weight_.mul_(2);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(OffloadTest, TensorsOutliveIt) {
  {
    const auto offload = Offload::create(folder_.path(), {weight_});
    ASSERT_TRUE(offload.ok());
  }
  EXPECT_EQ(weight_[999][2999].item<float>(), 2'999'999);
}

TEST_F(OffloadTest, OtherBytesFromTheDiskAreAnError) {
  auto offload = Offload::create(folder_.path(), {weight_}).value();
  ASSERT_TRUE(offload.out().ok());
  const std::vector<int> files = files_of(folder_.path());
  ASSERT_EQ(files.size(), 1u);
  ASSERT_EQ(::pwrite(files[0], "x", 1, 5'000'000), 1);
  const Status wrong = offload.in();
  EXPECT_EQ(wrong.code(), StatusCode::corrupt);
  EXPECT_THAT(wrong.message(), HasSubstr(folder_.path()));
  EXPECT_TRUE(offload.is_out());
  ASSERT_EQ(::ftruncate(files[0], 5'000'000), 0);
  EXPECT_EQ(offload.in().code(), StatusCode::io_error);
}

TEST_F(OffloadTest, AFolderThatCannotHaveFilesIsAnErrorThatChangesNothing) {
  const void* place = weight_.data_ptr();
  const auto failed = Offload::create("/proc/none", {weight_});
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.status().message(), HasSubstr("/proc/none"));
  EXPECT_EQ(weight_.data_ptr(), place);
}

}  // namespace
}  // namespace longshot::train

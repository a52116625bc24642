#include "inference/fingerprint.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <set>

namespace longshot::inference {
namespace {

// Makes the kernels choose among the targets in `targets`; 0 = what the processor has.
void limit(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Fingerprint, FloatsGiveTheSameBitsWithAnyVectorWidth) {
  std::set<std::string> prints;
  int paths = 0;
  limit(0);
  const int64_t own = hwy::SupportedTargets();
  for (const int64_t target : {HWY_AVX2, HWY_AVX3}) {
    if ((own & target) == 0) continue;
    limit(target);
    const auto print = fingerprint({});
    ASSERT_TRUE(print.ok()) << print.status().message();
    printf("%s: %s\n", hwy::TargetName(target), print->c_str());
    prints.insert(*print);
    ++paths;
  }
  limit(0);
  prints.insert(*fingerprint({}));
  EXPECT_GE(paths, 1);
  EXPECT_EQ(prints.size(), 1u);
}

TEST(Fingerprint, NamesTheFormatsAndTellsArithmeticApart) {
  const std::string own = *fingerprint({});
  EXPECT_EQ(own.substr(0, 16), "float32-float32-");
  EXPECT_EQ(own, *fingerprint({}));
  EXPECT_NE(own, *fingerprint({.runner = rollout::RunnerKind::torch}));
  std::set<std::string> sums;
  for (const NumberFormat format : {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8}) {
    const auto print = fingerprint({.dtype = format});
    ASSERT_TRUE(print.ok()) << print.status().message();
    sums.insert(print->substr(print->rfind('-')));
  }
  EXPECT_EQ(sums.size(), 3u);
}

}  // namespace
}  // namespace longshot::inference

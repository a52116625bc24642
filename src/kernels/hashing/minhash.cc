#include "kernels/hashing/minhash.h"

#include <algorithm>

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/hashing/minhash.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr uint32_t kLastMultiplier = 0x85ebca6bU;

// The lanes are functions, so that each value is read once per vector and nothing is reduced.
void min_hashes_target(const uint32_t* values, int64_t count, const uint32_t* seeds,
                       const uint32_t* multipliers, int functions, uint32_t* lowest) {
  const hn::CappedTag<uint32_t, kMinHashGroup> d;
  const auto last = hn::Set(d, kLastMultiplier);
  for (int f = 0; f < functions; f += static_cast<int>(hn::Lanes(d))) {
    const auto seed = hn::LoadU(d, seeds + f), multiplier = hn::LoadU(d, multipliers + f);
    auto least = hn::Set(d, ~uint32_t{0});
    for (int64_t i = 0; i < count; ++i) {
      auto v = hn::Mul(hn::Xor(hn::Set(d, values[i]), seed), multiplier);
      v = hn::Mul(hn::Xor(v, hn::ShiftRight<16>(v)), last);
      least = hn::Min(least, v);
    }
    hn::StoreU(least, d, lowest + f);
  }
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(min_hashes_target);

uint32_t min_hash_value(uint32_t value, uint32_t seed, uint32_t multiplier) {
  const uint32_t v = (value ^ seed) * multiplier;
  return (v ^ (v >> 16)) * 0x85ebca6bU;
}

void min_hashes(const uint32_t* values, int64_t count, const uint32_t* seeds,
                const uint32_t* multipliers, int functions, uint32_t* lowest) {
  LS_CHECK(functions % kMinHashGroup == 0, "the number of hash functions is not a whole group");
  HWY_DYNAMIC_DISPATCH(min_hashes_target)
  (values, count, seeds, multipliers, functions, lowest);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE

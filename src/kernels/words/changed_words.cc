#include "kernels/words/changed_words.h"

#include "base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/words/changed_words.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

size_t changed_words_target(const uint16_t* before, const uint16_t* after, size_t count,
                            uint16_t* positions, uint16_t* values) {
  const hn::ScalableTag<uint16_t> d;
  const size_t lanes = hn::Lanes(d);
  const auto iota = hn::Iota(d, 0);
  size_t changed = 0, i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto now = hn::LoadU(d, after + i);
    const auto differs = hn::Ne(hn::LoadU(d, before + i), now);
    if (hn::AllFalse(d, differs)) continue;
    const auto place = hn::Add(iota, hn::Set(d, static_cast<uint16_t>(i)));
    // Compressing into memory would be many times slower on some processors.
    hn::StoreU(hn::Compress(place, differs), d, positions + changed);
    hn::StoreU(hn::Compress(now, differs), d, values + changed);
    changed += hn::CountTrue(d, differs);
  }
  for (; i < count; ++i) {
    positions[changed] = static_cast<uint16_t>(i);
    values[changed] = after[i];
    changed += before[i] != after[i];
  }
  return changed;
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(changed_words_target);

size_t changed_words(const uint16_t* before, const uint16_t* after, size_t count,
                     uint16_t* positions, uint16_t* values) {
  LS_CHECK(count <= kMostWords, "too many words for positions of 16 bits");
  return HWY_DYNAMIC_DISPATCH(changed_words_target)(before, after, count, positions, values);
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE

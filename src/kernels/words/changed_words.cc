#include "kernels/words/changed_words.h"

#include <bit>

#include "base/check.h"
#include "kernels/words/word_orders.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/words/changed_words.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR
// Compares eight words at a time and moves those that differ to the front with one shuffle, whose
// table is indexed by the comparison's bits. Highway's own Compress of 16-bit words is more than
// ten times as slow with AVX2. Returns the number of changed words among the first `done` ones.
size_t changed_words_in_vectors(const uint16_t* before, const uint16_t* after, size_t count,
                                uint16_t* positions, uint16_t* values, size_t& done) {
  const hn::FixedTag<uint16_t, 8> d;
  const hn::Repartition<uint8_t, decltype(d)> bytes;
  const auto iota = hn::Iota(d, 0);
  size_t changed = 0;
  for (done = 0; done + 8 <= count; done += 8) {
    const auto now = hn::LoadU(d, after + done);
    uint8_t differs;
    hn::StoreMaskBits(d, hn::Ne(hn::LoadU(d, before + done), now), &differs);
    const auto order = hn::BitCast(d, hn::Load(bytes, kWordOrders[differs].data()));
    const auto place = hn::Add(iota, hn::Set(d, static_cast<uint16_t>(done)));
    hn::StoreU(hn::TableLookupBytes(place, order), d, positions + changed);
    hn::StoreU(hn::TableLookupBytes(now, order), d, values + changed);
    changed += static_cast<size_t>(std::popcount(differs));
  }
  return changed;
}
#endif

size_t changed_words_target(const uint16_t* before, const uint16_t* after, size_t count,
                            uint16_t* positions, uint16_t* values) {
  size_t changed = 0, i = 0;
#if HWY_TARGET != HWY_SCALAR
  changed = changed_words_in_vectors(before, after, count, positions, values, i);
#endif
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

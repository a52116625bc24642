#include "kernels/rows/adamw_rounded.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rows/adamw_rounded.cc"
#include "kernels/targets.h"
// Order matters: targets.h, the re-inclusion for each target, then everything else.

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace longshot::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, kMomentBlock>;
using U = hn::RebindToUnsigned<F>;
using I = hn::RebindToSigned<F>;
using Floats = hn::Vec<F>;
using Bits = hn::Vec<U>;

// Bits of an f32 that a code drops: it keeps 3 bits of mantissa, with the exponent above them.
constexpr int kShift = 20;
struct Code {
  uint32_t base;   // the code's 0, in units of 1 << kShift
  float smallest;  // the float that code 0 represents
};
constexpr float kLargest = 1.875F;
constexpr Code kSigned{(127 - 15) << 3, 0x1p-15F};    // exponents -15 to 0
constexpr Code kUnsigned{(127 - 31) << 3, 0x1p-31F};  // exponents -31 to 0

// Well-mixed bits of an index (a bijection of 32-bit numbers).
HWY_INLINE Bits random_bits(uint32_t key, int64_t index) {
  const U u;
  Bits x = hn::Xor(hn::Iota(u, static_cast<uint32_t>(index)), hn::Set(u, key));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), hn::Set(u, 0x7feb352dU));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(u, 0x846ca68bU));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

// The arrays have kMomentBlock elements. Those beyond the end of a shorter block are computed and
// not used.
void unpack_bf16_target(const uint16_t* in, float* out) {
  const F f;
  const U u;
  const hn::Rebind<uint16_t, U> half;
  for (size_t i = 0; i < kMomentBlock; i += hn::Lanes(f))
    hn::StoreU(hn::BitCast(f, hn::ShiftLeft<16>(hn::PromoteTo(u, hn::LoadU(half, in + i)))), f,
               out + i);
}

// `upper` selects the half of the random bits.
void pack_bf16_target(const float* values, uint32_t key, int64_t first, bool upper, uint16_t* out) {
  const F f;
  const U u;
  const hn::Rebind<uint16_t, U> half;
  for (size_t i = 0; i < kMomentBlock; i += hn::Lanes(f)) {
    Bits noise = random_bits(key, first + static_cast<int64_t>(i));
    noise = upper ? hn::ShiftRight<16>(noise) : hn::And(noise, hn::Set(u, 0xFFFFU));
    const Bits bits = hn::Add(hn::BitCast(u, hn::LoadU(f, values + i)), noise);
    hn::StoreU(hn::DemoteTo(half, hn::BitCast(I(), hn::ShiftRight<16>(bits))), half, out + i);
  }
}

void unpack_bytes_target(const uint8_t* codes, float scale, bool signed_values, float* out) {
  const F f;
  const U u;
  const hn::Rebind<uint8_t, U> byte;
  const Code code = signed_values ? kSigned : kUnsigned;
  for (size_t i = 0; i < kMomentBlock; i += hn::Lanes(f)) {
    const Bits all = hn::PromoteTo(u, hn::LoadU(byte, codes + i));
    const Bits magnitude = signed_values ? hn::And(all, hn::Set(u, 0x7FU)) : all;
    const Bits sign =
        signed_values ? hn::ShiftLeft<24>(hn::AndNot(hn::Set(u, 0x7FU), all)) : hn::Zero(u);
    const Floats y =
        hn::BitCast(f, hn::ShiftLeft<kShift>(hn::Add(magnitude, hn::Set(u, code.base))));
    const Floats x = hn::Mul(hn::Sub(y, hn::Set(f, code.smallest)), hn::Set(f, scale));
    hn::StoreU(hn::BitCast(f, hn::Or(hn::BitCast(u, x), sign)), f, out + i);
  }
}

float pack_bytes_target(const float* values, bool signed_values, uint32_t key, int64_t first,
                        uint8_t* codes) {
  const F f;
  const U u;
  const hn::Rebind<uint8_t, U> byte;
  Floats top = hn::Zero(f);
  for (size_t i = 0; i < kMomentBlock; i += hn::Lanes(f))
    top = hn::Max(top, hn::Abs(hn::LoadU(f, values + i)));
  const float largest = hn::GetLane(hn::MaxOfLanes(f, top));
  const Code code = signed_values ? kSigned : kUnsigned;
  const float scale = largest / (kLargest - code.smallest);
  const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
  for (size_t i = 0; i < kMomentBlock; i += hn::Lanes(f)) {
    const Floats x = hn::LoadU(f, values + i);
    Bits noise = random_bits(key, first + static_cast<int64_t>(i));
    noise = signed_values ? hn::And(noise, hn::Set(u, 0xFFFFU)) : hn::ShiftRight<16>(noise);
    const Floats y = hn::MulAdd(hn::Abs(x), hn::Set(f, inverse), hn::Set(f, code.smallest));
    const Bits rounded =
        hn::ShiftRight<kShift>(hn::Add(hn::BitCast(u, y), hn::ShiftLeft<kShift - 16>(noise)));
    const Bits last = hn::Set(u, signed_values ? 0x7FU : 0xFFU);
    Bits result = hn::Min(hn::Sub(rounded, hn::Set(u, code.base)), last);
    if (signed_values)
      result = hn::Or(result, hn::ShiftLeft<7>(hn::ShiftRight<31>(hn::BitCast(u, x))));
    hn::StoreU(hn::DemoteTo(byte, hn::BitCast(I(), result)), byte, codes + i);
  }
  return scale;
}

}  // namespace longshot::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace longshot::kernels {

HWY_EXPORT(unpack_bf16_target);
HWY_EXPORT(pack_bf16_target);
HWY_EXPORT(unpack_bytes_target);
HWY_EXPORT(pack_bytes_target);

namespace {

// A padded copy of a block: the vectors read and write whole blocks, but a tensor's last one may be
// shorter.
template <typename T>
struct Block {
  alignas(64) T values[kMomentBlock] = {};

  T* load(const T* from, int count) {
    std::copy_n(from, count, values);
    return values;
  }
  void store(T* to, int count) const { std::copy_n(values, count, to); }
};

int block_size(int64_t at, int64_t count) {
  return static_cast<int>(std::min<int64_t>(kMomentBlock, count - at));
}

}  // namespace

void adamw_bf16(const AdamWStep& step, uint32_t key, int64_t first, const float* gradient,
                int64_t count, float* weight, uint16_t* m, uint16_t* v) {
  Block<uint16_t> packed;
  Block<float> m_values, v_values;
  for (int64_t at = 0; at < count; at += kMomentBlock) {
    const int n = block_size(at, count);
    HWY_DYNAMIC_DISPATCH(unpack_bf16_target)(packed.load(m + at, n), m_values.values);
    HWY_DYNAMIC_DISPATCH(unpack_bf16_target)(packed.load(v + at, n), v_values.values);
    adamw(step, gradient + at, n, weight + at, m_values.values, v_values.values);
    HWY_DYNAMIC_DISPATCH(pack_bf16_target)(m_values.values, key, first + at, false, packed.values);
    packed.store(m + at, n);
    HWY_DYNAMIC_DISPATCH(pack_bf16_target)(v_values.values, key, first + at, true, packed.values);
    packed.store(v + at, n);
  }
}

void unpack_block(const uint8_t* codes, float scale, int count, bool signed_values, float* out) {
  Block<uint8_t> packed;
  Block<float> values;
  HWY_DYNAMIC_DISPATCH(unpack_bytes_target)
  (packed.load(codes, count), scale, signed_values, values.values);
  values.store(out, count);
}

float pack_block(const float* in, int count, bool signed_values, uint32_t key, int64_t first,
                 uint8_t* codes) {
  Block<uint8_t> packed;
  Block<float> values;
  const float scale = HWY_DYNAMIC_DISPATCH(pack_bytes_target)(values.load(in, count), signed_values,
                                                              key, first, packed.values);
  packed.store(codes, count);
  return scale;
}

void adamw_bytes(const AdamWStep& step, uint32_t key, int64_t first, const float* gradient,
                 int64_t count, float* weight, const ByteMoments& moments) {
  float m[kMomentBlock], v[kMomentBlock];
  for (int64_t at = 0; at < count; at += kMomentBlock) {
    const int n = block_size(at, count);
    const int64_t block = at / kMomentBlock;
    unpack_block(moments.m + at, moments.m_scale[block], n, true, m);
    unpack_block(moments.v + at, moments.v_scale[block], n, false, v);
    adamw(step, gradient + at, n, weight + at, m, v);
    moments.m_scale[block] = pack_block(m, n, true, key, first + at, moments.m + at);
    moments.v_scale[block] = pack_block(v, n, false, key, first + at, moments.v + at);
  }
}

}  // namespace longshot::kernels
#endif  // HWY_ONCE

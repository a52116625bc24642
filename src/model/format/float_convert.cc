#include "model/format/float_convert.h"

#include <cstring>

namespace longshot::model {

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);  // NaN
  const uint32_t to_even = 0x7fffu + (bits >> 16 & 1u);
  return static_cast<uint16_t>((bits + to_even) >> 16);
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds above 65504
  if (magnitude < 0x38800000u) {
    // Below 2^-14, a multiple of 2^-24: adding 1/2 leaves the multiple, rounded to even, in the low
    // bits.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t to_even = 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | (magnitude - (112u << 23) + to_even) >> 13);
}

void bf16_to_f32(const char* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t h;
    std::memcpy(&h, source + 2 * i, sizeof h);
    out[i] = bf16_to_f32(h);
  }
}

void f16_to_f32(const char* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t h;
    std::memcpy(&h, source + 2 * i, sizeof h);
    out[i] = f16_to_f32(h);
  }
}

void f64_to_f32(const char* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    double value;
    std::memcpy(&value, source + 8 * i, sizeof value);
    out[i] = static_cast<float>(value);
  }
}

bool all_finite(const float* values, size_t count) {
  uint32_t found = 0;  // an exponent of 255 is an infinity or a NaN
  for (size_t i = 0; i < count; ++i) {
    found |= (std::bit_cast<uint32_t>(values[i]) & 0x7f800000u) == 0x7f800000u;
  }
  return found == 0;
}

}  // namespace longshot::model

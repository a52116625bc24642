#pragma once
// Conversions between f32 and the 16-bit formats, element by element, with no dependence on the
// rounding mode of the host's vector units. Source and target bytes need no alignment.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace longshot::model {

inline float bf16_to_f32(uint16_t h) {
  return std::bit_cast<float>(uint32_t{h} << 16);
}

// Exact. The exponent is moved by 112 (127 - 15); a subnormal is normalised by a subtraction, which
// works under flush-to-zero too.
inline float f16_to_f32(uint16_t h) {
  constexpr uint32_t kExponent = 0x7c00u << 13, kBias = 112u << 23;
  uint32_t bits = (h & 0x7fffu) << 13;
  const uint32_t exponent = bits & kExponent;
  bits += kBias;
  if (exponent == kExponent) bits += kBias;  // infinity or NaN: the f32 exponent is 255
  float value = std::bit_cast<float>(bits);
  if (exponent == 0)
    value = std::bit_cast<float>(bits + (1u << 23)) - std::bit_cast<float>(113u << 23);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | (h & 0x8000u) << 16);
}

// Rounds to nearest even. Values that are too large become infinities, and a NaN stays a (quiet)
// NaN.
uint16_t f32_to_bf16(float value);
uint16_t f32_to_f16(float value);

void bf16_to_f32(const char* source, size_t count, float* out);
void f16_to_f32(const char* source, size_t count, float* out);
void f64_to_f32(const char* source, size_t count, float* out);

// True if every element is finite.
bool all_finite(const float* values, size_t count);

}  // namespace longshot::model

// Block layouts and formulas: ggml's format as the `gguf` Python package dequantizes it
// (gguf/quants.py). Each value is computed with the same operations in the same order, so the
// results agree bit for bit; the build forbids fused multiply-add here for that reason.

#include "model/format/gguf/ggml_types.h"

#include <array>
#include <cstring>

#include "model/format/float_convert.h"

namespace longshot::model {
namespace {

constexpr int kSuperBlock = 256;  // elements in a "K" block

uint16_t load16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | p[1] << 8);
}
float load_half(const uint8_t* p) {
  return f16_to_f32(load16(p));
}

uint32_t load32(const uint8_t* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void copy_f32(const uint8_t* block, float* out) {
  std::memcpy(out, block, sizeof *out);
}
void widen_f16(const uint8_t* block, float* out) {
  *out = load_half(block);
}
void widen_bf16(const uint8_t* block, float* out) {
  *out = bf16_to_f32(load16(block));
}

// f16 scale, 32 x i8.
void q8_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// f16 scale, 16 bytes: low nibbles are elements 0..15, high nibbles 16..31.
void q4_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((block[2 + i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((block[2 + i] >> 4) - 8);
  }
}

// f16 scale, f16 minimum, nibbles as in Q4_0.
void q4_1(const uint8_t* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(block[4 + i] & 15) + m;
    out[i + 16] = d * static_cast<float>(block[4 + i] >> 4) + m;
  }
}

// The fifth bits of Q5_0 and Q5_1: bit i of a little-endian word belongs to element i.
int fifth_bit(uint32_t bits, int i) {
  return static_cast<int>(bits >> i & 1) << 4;
}

void q5_0(const uint8_t* block, float* out) {
  const float d = load_half(block);
  const uint32_t high = load32(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(((block[6 + i] & 15) | fifth_bit(high, i)) - 16);
    out[i + 16] = d * static_cast<float>(((block[6 + i] >> 4) | fifth_bit(high, i + 16)) - 16);
  }
}

void q5_1(const uint8_t* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  const uint32_t high = load32(block + 4);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((block[8 + i] & 15) | fifth_bit(high, i)) + m;
    out[i + 16] = d * static_cast<float>((block[8 + i] >> 4) | fifth_bit(high, i + 16)) + m;
  }
}

// Element e of a super-block with 2-bit fields: 128 elements are in 32 bytes, in groups of 32 with
// the shifts 0, 2, 4 and 6.
int two_bits(const uint8_t* bytes, int e) {
  return bytes[e / 128 * 32 + e % 32] >> (e % 128 / 32 * 2) & 3;
}

// 16 x (4-bit scale, 4-bit minimum), 64 bytes of 2-bit values, f16 scale of the scales, f16 of the
// minima.
void q2_k(const uint8_t* block, float* out) {
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int e = 0; e < kSuperBlock; ++e) {
    const uint8_t packed = block[e / 16];
    const float scale = d * static_cast<float>(packed & 15),
                minimum = dmin * static_cast<float>(packed >> 4);
    out[e] = scale * static_cast<float>(two_bits(block + 16, e)) - minimum;
  }
}

// 32 bytes of third bits (a 0 bit subtracts 4), 64 bytes of 2-bit values, 16 x 6-bit scales minus
// 32, f16 scale.
void q3_k(const uint8_t* block, float* out) {
  const uint8_t* scales = block + 96;
  const float d = load_half(block + 108);
  for (int e = 0; e < kSuperBlock; ++e) {
    const int s = e / 16;
    const int low = scales[s % 8] >> (s / 8 * 4) & 15, high = scales[8 + s % 4] >> (s / 4 * 2) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    const int minus = (block[e % 32] >> (e / 32) & 1) != 0 ? 0 : 4;
    out[e] = scale * static_cast<float>(two_bits(block + 32, e) - minus);
  }
}

// The s-th of 8 pairs of a 6-bit scale and a 6-bit minimum, packed into 12 bytes.
struct ScaleMin {
  int scale, minimum;
};
ScaleMin scale_min(const uint8_t* packed, int s) {
  if (s < 4) return {packed[s] & 63, packed[s + 4] & 63};
  return {(packed[s + 4] & 15) | packed[s - 4] >> 6 << 4, packed[s + 4] >> 4 | packed[s] >> 6 << 4};
}

// f16 scale, f16 scale of minima, 12 bytes of scales, (Q5_K: 32 bytes of fifth bits,) 128 bytes of
// nibbles: each 32 bytes contain one sub-block in the low nibbles and the next in the high nibbles.
void q4_or_5_k(const uint8_t* block, const uint8_t* fifth, const uint8_t* nibbles, float* out) {
  const float d = load_half(block), dmin = load_half(block + 2);
  for (int s = 0; s < 8; ++s) {
    const ScaleMin packed = scale_min(block + 4, s);
    const float scale = d * static_cast<float>(packed.scale),
                minimum = dmin * static_cast<float>(packed.minimum);
    for (int i = 0; i < 32; ++i) {
      int q = nibbles[s / 2 * 32 + i] >> (s % 2 * 4) & 15;
      if (fifth != nullptr) q |= (fifth[i] >> s & 1) << 4;
      out[s * 32 + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}
void q4_k(const uint8_t* block, float* out) {
  q4_or_5_k(block, nullptr, block + 16, out);
}
void q5_k(const uint8_t* block, float* out) {
  q4_or_5_k(block, block + 16, block + 48, out);
}

// 128 bytes of low nibbles (each 64 bytes: 64 elements low, then 64 high), 64 bytes of 2-bit high
// parts, 16 x i8 scales, f16 scale.
void q6_k(const uint8_t* block, float* out) {
  const float d = load_half(block + 208);
  for (int e = 0; e < kSuperBlock; ++e) {
    const int low = block[e / 128 * 64 + e % 64] >> (e % 128 / 64 * 4) & 15;
    const int q = (low | two_bits(block + 128, e) << 4) - 32;
    const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + e / 16]));
    out[e] = scale * static_cast<float>(q);
  }
}

constexpr std::array<GgmlType, 13> kTypes = {{{0, "F32", 1, 4, copy_f32},
                                              {1, "F16", 1, 2, widen_f16},
                                              {30, "BF16", 1, 2, widen_bf16},
                                              {2, "Q4_0", 32, 18, q4_0},
                                              {3, "Q4_1", 32, 20, q4_1},
                                              {6, "Q5_0", 32, 22, q5_0},
                                              {7, "Q5_1", 32, 24, q5_1},
                                              {8, "Q8_0", 32, 34, q8_0},
                                              {10, "Q2_K", kSuperBlock, 84, q2_k},
                                              {11, "Q3_K", kSuperBlock, 110, q3_k},
                                              {12, "Q4_K", kSuperBlock, 144, q4_k},
                                              {13, "Q5_K", kSuperBlock, 176, q5_k},
                                              {14, "Q6_K", kSuperBlock, 210, q6_k}}};

}  // namespace

const GgmlType* find_ggml_type(uint32_t id) {
  for (const GgmlType& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

std::string supported_ggml_types() {
  std::string names;
  for (const GgmlType& type : kTypes) names += (names.empty() ? "" : ", ") + std::string(type.name);
  return names;
}

void dequantize(const GgmlType& type, const char* source, int64_t elements, float* out) {
  const auto* block = reinterpret_cast<const uint8_t*>(source);
  for (int64_t i = 0; i < elements; i += type.block_elements, block += type.block_bytes) {
    type.dequantize(block, out + i);
  }
}

}  // namespace longshot::model

#pragma once
// Number formats of weights, of a KV cache, of products and of moments. Each of them has some of
// the formats; the keys that choose one say which.

#include "base/spelling.h"

namespace longshot {

enum class NumberFormat {
  f32,
  bf16,  // values rounded to bfloat16; arithmetic in f32
  int8,  // weights: one scale per output channel, activations quantized per row, integer
         // arithmetic; KV cache: one scale per token and head
  int4,  // weights only: one scale per 32 values of an output channel; arithmetic in f32
};

constexpr auto spellings(NumberFormat) {
  using enum NumberFormat;
  return std::to_array<Spelling<NumberFormat>>(
      {{f32, "float32"}, {bf16, "bfloat16"}, {int8, "int8"}, {int4, "int4"}});
}

}  // namespace longshot

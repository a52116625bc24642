#pragma once
// Number formats of a runner's weights and of its KV cache.

#include <string>

#include "base/status.h"

namespace longshot {

enum class NumberFormat {
  f32,
  bf16,  // values rounded to bfloat16; arithmetic in f32
  int8,  // weights: one scale per output channel, activations quantized per row, integer
         // arithmetic; KV cache: one scale per token and head
  int4,  // weights only: one scale per 32 values of an output channel; arithmetic in f32
};

// "float32", "bfloat16", "int8", "int4", or the short "f32", "bf16". Error: another name.
Result<NumberFormat> parse_number_format(const std::string& name);
const char* number_format_name(NumberFormat format);  // the short name

}  // namespace longshot

#pragma once
// The number formats of GGUF tensors: fixed-size blocks of quantized weights, converted to f32.

#include <cstdint>
#include <string>

namespace longshot::model {

struct GgmlType {
  uint32_t id;  // as stored in the file
  const char* name;
  int64_t block_elements;
  int64_t block_bytes;
  void (*dequantize)(const uint8_t* block, float* out);  // one block
};

// Null for a type that is not supported.
const GgmlType* find_ggml_type(uint32_t id);
std::string supported_ggml_types();  // "F32, F16, ..."

// `elements` must be a multiple of the block's. `source` contains elements / block_elements blocks
// at any alignment.
void dequantize(const GgmlType& type, const char* source, int64_t elements, float* out);

}  // namespace longshot::model

#pragma once
// The number formats of GGUF tensors: fixed blocks of quantized weights, turned into f32.

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

// `elements` must be a multiple of the block; `source` holds elements / block_elements blocks, any
// alignment.
void dequantize(const GgmlType& type, const char* source, int64_t elements, float* out);

}  // namespace longshot::model

#pragma once
// A llama, qwen2 or qwen3 model in a GGUF file, under its Hugging Face names.

#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/gguf/gguf.h"
#include "model/format/model_files.h"
#include "tokenizer/tokenizer.h"

namespace longshot::model {

// The dtype is that of the embedding if it is not quantized, otherwise float32.
Result<ModelConfig> read_gguf_config(const GgufFile& file);

// The weights in the order of expected_weights(config), dequantized. llama.cpp interleaves the two
// rotary halves of llama's query and key rows; this reverses it.
Result<std::vector<HostTensor>> read_gguf_weights(const GgufFile& file, const ModelConfig& config);

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const GgufFile& file);
Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const std::string& path);

}  // namespace longshot::model

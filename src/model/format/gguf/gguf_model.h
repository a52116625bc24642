#pragma once
// The weights and the vocabulary of a model in a GGUF file, under their Hugging Face names.

#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/gguf/gguf.h"
#include "model/format/gguf/gguf_config.h"
#include "model/format/model_files.h"
#include "tokenizer/tokenizer.h"

namespace longshot::model {

// The weights in the order of expected_weights(config), dequantized. llama.cpp interleaves the two
// rotary halves of the query and key rows of some architectures; this reverses it.
Result<std::vector<HostTensor>> read_gguf_weights(const GgufFile& file, const ModelConfig& config);

Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const GgufFile& file);
Result<tokenizer::GgufVocabulary> read_gguf_vocabulary(const std::string& path);

}  // namespace longshot::model

#pragma once
// Whether models can be merged: the same architecture and the same tokenizer.

#include <string>

#include "base/status.h"
#include "model/format/config.h"
#include "tokenizer/tokenizer.h"

namespace longshot::model {

// A model as messages name it.
struct NamedConfig {
  std::string path;
  const ModelConfig* config;
};
// Error: the models differ in their type, or in a tensor, which is named with both shapes. A head
// that is the embedding in one model only is no difference. Other differences of the configurations
// (rotary embedding, windows) are warnings: the merged model has the configuration of `first`.
Status check_same_architecture(const NamedConfig& first, const NamedConfig& other);

// Error: the tokenizers differ in a token, or in how they cut texts; the first difference is named.
// Compared are all ids, the encoding of every token's own text, and that of texts which show the
// usual differences of rules (digits, spaces, contractions, scripts).
Status check_same_tokenizer(const std::string& first_path, const tokenizer::Tokenizer& first,
                            const std::string& other_path, const tokenizer::Tokenizer& other);

}  // namespace longshot::model

#pragma once
// SentencePiece's own file, tokenizer.model, for model directories without a tokenizer.json.

#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_files.h"
#include "tokenizer/tokenizer_json.h"

namespace longshot::tokenizer {

struct SentencepieceModel {
  GgufVocabulary vocabulary;
  SentenceRules rules;
};

// The vocabulary of a tokenizer.model, a message of type ModelProto (sentencepiece_model.proto of
// github.com/google/sentencepiece), of type BPE or unigram. `where` names the file in errors.
Result<SentencepieceModel> read_sentencepiece(std::string_view bytes, const std::string& where);

// Reads the tokenizer of `directory`: tokenizer.model, and from tokenizer_config.json,
// special_tokens_map.json and added_tokens.json what the tokenizer adds to it. save() of the result
// writes a tokenizer.json beside copies of these files.
Result<std::unique_ptr<Tokenizer>> load_sentencepiece(const std::string& directory);

}  // namespace longshot::tokenizer

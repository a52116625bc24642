#pragma once
// Builds a tokenizer from the text of a tokenizer.json.

#include <memory>
#include <string>

#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_files.h"

namespace longshot::tokenizer {

// `files.contents[0]` is tokenizer.json; save() of the result writes `files`. `where` names the
// file in errors. `truncation` and `padding` in the file are ignored: ids are those of a single
// text.
Result<std::unique_ptr<Tokenizer>> parse_tokenizer(TokenizerFiles files, const std::string& where);

// What a tokenizer.model has in addition to a GGUF vocabulary of the model "llama".
struct SentenceRules {
  bool unigram = false;         // the scores are those of a unigram model, not of merges
  std::string character_map;    // see unigram/character_map.h; empty: characters stay
  bool removes_spaces = false;  // repeated ones, and those at the ends of a text
};

// The files that a GGUF vocabulary has as a model directory; tokenizer.json comes first.
Result<TokenizerFiles> gguf_tokenizer_files(const GgufVocabulary& vocabulary,
                                            const SentenceRules& rules = {});

}  // namespace longshot::tokenizer

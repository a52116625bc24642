#pragma once
// The first training row as the model sees it, for --dry-run.

#include <cstdint>
#include <span>
#include <string>

#include "data/types.h"
#include "tokenizer/tokenizer.h"

namespace longshot::loop {

// A sequence that is computed for a row. Both spans are borrowed.
struct RowSequence {
  std::string name;  // "the first row", "the first row with its chosen response"
  std::span<const data::TokenId> tokens;
  // [tokens.size()]: not 0 where the token is trained on. Empty: a score is read at the last token.
  std::span<const uint8_t> trained;
};

// The text of the sequence with what is trained on between « and ». `show_tokens`: also a table
// with a line for each token.
std::string sequence_text(const RowSequence& sequence, const tokenizer::Tokenizer& tokenizer,
                          bool show_tokens);

}  // namespace longshot::loop

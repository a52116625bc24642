#pragma once
// Tokens as a person reads them: a table with a line for each token, and a text with the part of it
// that is trained on between marks.

#include <cstdint>
#include <span>
#include <string>

#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {

// The first line of a table. `figure` names the column of figures; an empty one stays free.
std::string token_table_head(const std::string& figure);
// The line of a token: id, figure, its bytes as a JSON text, and a remark.
std::string token_table_row(const Tokenizer& tokenizer, TokenId id, const std::string& figure,
                            const std::string& remark = "");

// The decoded text, special tokens included, with « and » around each run of tokens whose `mask`
// [ids.size()] is not 0.
std::string marked_text(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                        std::span<const uint8_t> mask);

}  // namespace longshot::tokenizer

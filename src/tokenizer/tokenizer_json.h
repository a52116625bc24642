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

}  // namespace longshot::tokenizer

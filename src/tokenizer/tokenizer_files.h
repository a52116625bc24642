#pragma once
// The tokenizer's files of a Hugging Face model directory, kept unchanged.

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::tokenizer {

struct TokenizerFiles {
  std::vector<std::pair<std::string, std::string>> contents;  // file name, bytes

  // The file `main` must exist and comes first; tokenizer_config.json, special_tokens_map.json,
  // added_tokens.json and chat_template.jinja are optional.
  static Result<TokenizerFiles> read(const std::string& directory,
                                     const char* main = "tokenizer.json");
  // Creates the directory if needed and writes every file atomically.
  Status write(const std::string& directory) const;
};

// Whether load_tokenizer() finds a tokenizer in the directory: tokenizer.json or tokenizer.model.
bool holds_tokenizer(const std::string& directory);

}  // namespace longshot::tokenizer

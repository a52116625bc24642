#pragma once
// What turns texts and chats into the tokens of a model, without the model's weights.

#include <memory>
#include <string>

#include "base/status.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::commands {

struct TextFiles {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;
};

// Reads them from anything that model::find_model() finds; an adapter has those of its base.
Result<TextFiles> read_text_files(const std::string& given);

}  // namespace longshot::commands

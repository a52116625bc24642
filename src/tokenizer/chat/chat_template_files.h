#pragma once
// The chat templates and special tokens of a model directory.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace longshot::tokenizer {

struct ChatTemplateFiles {
  std::map<std::string, std::string> templates;  // by name; a template without a name is "default"
  std::vector<std::pair<std::string, std::string>> tokens;  // "bos_token" → "<s>", ...
};
// Missing files are not an error.
Result<ChatTemplateFiles> read_chat_template_files(const std::string& directory);

}  // namespace longshot::tokenizer

#include "tokenizer/tokenizer_files.h"

#include <filesystem>

#include "base/os/fs.h"

namespace longshot::tokenizer {

Result<TokenizerFiles> TokenizerFiles::read(const std::string& directory, const char* main) {
  TokenizerFiles files;
  for (const char* name : {main, "tokenizer_config.json", "special_tokens_map.json",
                           "added_tokens.json", "chat_template.jinja"}) {
    const std::filesystem::path path = std::filesystem::path(directory) / name;
    std::error_code ignored;  // read_file() reports an unreadable file
    const bool required = files.contents.empty();
    if (!required && !std::filesystem::exists(path, ignored)) continue;
    LS_ASSIGN_OR_RETURN(std::string bytes, read_file(path));
    files.contents.emplace_back(name, std::move(bytes));
  }
  return files;
}

bool holds_tokenizer(const std::string& directory) {
  const std::filesystem::path root(directory);
  std::error_code ignored;  // reading reports an unreadable file
  return std::filesystem::exists(root / "tokenizer.json", ignored) ||
         std::filesystem::exists(root / "tokenizer.model", ignored);
}

Status TokenizerFiles::write(const std::string& directory) const {
  LS_RETURN_IF_ERROR(make_directories(directory));
  for (const auto& [name, bytes] : contents) {
    LS_RETURN_IF_ERROR(write_file_atomic(std::filesystem::path(directory) / name, bytes));
  }
  return {};
}

}  // namespace longshot::tokenizer

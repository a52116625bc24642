#include "commands/model/text_files.h"

#include <utility>

#include "model/format/adapters/adapter.h"
#include "model/format/gguf/gguf_model.h"
#include "model/format/model_path.h"

namespace longshot::commands {
namespace {

Result<TextFiles> read_gguf(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const tokenizer::GgufVocabulary vocabulary,
                      model::read_gguf_vocabulary(path));
  auto tokenizer = tokenizer::make_gguf_tokenizer(vocabulary);
  if (!tokenizer.ok()) return tokenizer.status().with_context(path);
  return TextFiles{std::move(*tokenizer), tokenizer::ChatTemplate::of_gguf(vocabulary)};
}

}  // namespace

Result<TextFiles> read_text_files(const std::string& given) {
  LS_ASSIGN_OR_RETURN(std::string path, model::find_model(given));
  if (model::is_adapter_directory(path)) {
    LS_ASSIGN_OR_RETURN(const std::string base, model::adapter_base(path));
    const auto found = model::find_model(base);
    if (!found.ok()) return found.status().with_context(path + ": its base model");
    path = *found;
  }
  if (path.ends_with(".gguf")) return read_gguf(path);
  TextFiles files;
  LS_ASSIGN_OR_RETURN(files.tokenizer, tokenizer::load_tokenizer(path));
  LS_ASSIGN_OR_RETURN(files.chat_template, tokenizer::ChatTemplate::load(path));
  return files;
}

}  // namespace longshot::commands

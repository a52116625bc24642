#include "tokenizer/bpe/byte_level_tokenizer.h"

namespace longshot::tokenizer {
namespace {

bool decodes_bytes(const Json& json) {
  if (!json.is_object() || !json.contains("decoder") || !json["decoder"].is_object()) return false;
  const Json& decoder = json["decoder"];
  return decoder.contains("type") && decoder["type"] == "ByteLevel";
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> ByteLevelTokenizer::from_json(const Json& json,
                                                                 TokenizerFiles files,
                                                                 const std::string& where) {
  auto tokenizer = std::make_unique<ByteLevelTokenizer>();
  LS_ASSIGN_OR_RETURN(tokenizer->model_,
                      BpeModel::from_json(json["model"], BpeAlphabet::bytes, where + ": model"));
  LS_RETURN_IF_ERROR(tokenizer->read_common(json, tokenizer->model_.size(), where));
  LS_ASSIGN_OR_RETURN(
      tokenizer->pre_tokenizer_,
      PreTokenizer::from_json(json.contains("pre_tokenizer") ? json["pre_tokenizer"] : Json(),
                              where + ": pre_tokenizer"));
  if (!tokenizer->pre_tokenizer_.is_byte_level() || !decodes_bytes(json)) {
    return invalid_argument(
        where +
        ": only byte-level BPE is supported: keys 'pre_tokenizer' and 'decoder' must end in "
        "ByteLevel");
  }
  tokenizer->files_ = std::move(files);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

void ByteLevelTokenizer::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  std::vector<std::string_view> pieces;
  std::deque<std::string> storage;
  pre_tokenizer_.split(text, out.empty(), pieces, storage);
  for (const std::string_view piece : pieces) model_.encode(piece, out);
}

}  // namespace longshot::tokenizer

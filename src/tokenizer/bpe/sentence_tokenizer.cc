#include "tokenizer/bpe/sentence_tokenizer.h"

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kReplacementCharacter = "\xEF\xBF\xBD";

// The text of consecutive byte tokens: as the library has it, one U+FFFD for each byte if together
// they are not valid UTF-8.
void append_bytes(std::string& bytes, std::string& out) {
  if (is_valid_utf8(bytes)) {
    out += bytes;
  } else {
    for (size_t i = 0; i < bytes.size(); ++i) out += kReplacementCharacter;
  }
  bytes.clear();
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> SentenceTokenizer::from_json(const Json& json,
                                                                TokenizerFiles files,
                                                                const std::string& where) {
  auto tokenizer = std::make_unique<SentenceTokenizer>();
  LS_RETURN_IF_ERROR(tokenizer->read_model(json["model"], where + ": model"));
  const int size = std::visit([](const auto& model) { return model.size(); }, tokenizer->model_);
  LS_RETURN_IF_ERROR(tokenizer->read_common(json, size, where));
  LS_ASSIGN_OR_RETURN(
      tokenizer->pre_tokenizer_,
      PreTokenizer::from_json(json.contains("pre_tokenizer") ? json["pre_tokenizer"] : Json(),
                              where + ": pre_tokenizer"));
  if (tokenizer->pre_tokenizer_.is_byte_level())
    return invalid_argument(where +
                            ": key 'pre_tokenizer' ends in ByteLevel, but key 'decoder' does not");
  if (!json.contains("decoder")) return invalid_argument(where + ": key 'decoder' is missing");
  LS_ASSIGN_OR_RETURN(tokenizer->decoder_,
                      SentenceDecoder::from_json(json["decoder"], where + ": decoder"));
  tokenizer->files_ = std::move(files);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Status SentenceTokenizer::read_model(const Json& json, const std::string& where) {
  if (json.contains("type") && json["type"] == "Unigram") {
    LS_ASSIGN_OR_RETURN(model_, UnigramModel::from_json(json, where));
  } else {
    LS_ASSIGN_OR_RETURN(model_, BpeModel::from_json(json, BpeAlphabet::characters, where));
  }
  return {};
}

std::string SentenceTokenizer::model_bytes(TokenId id) const {
  return std::visit([&](const auto& model) { return model.token_bytes(id); }, model_);
}

std::optional<TokenId> SentenceTokenizer::model_id(std::string_view content) const {
  return std::visit([&](const auto& model) { return model.token_to_id(content); }, model_);
}

std::optional<uint8_t> SentenceTokenizer::fallback_byte(TokenId id) const {
  if (!decoder_.byte_fallback()) return std::nullopt;
  return std::visit([&](const auto& model) { return model.fallback_byte(id); }, model_);
}

void SentenceTokenizer::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  std::vector<std::string_view> pieces;
  std::deque<std::string> storage;
  pre_tokenizer_.split(text, out.empty(), pieces, storage);
  std::visit(
      [&](const auto& model) {
        for (const std::string_view piece : pieces) model.encode(piece, out);
      },
      model_);
}

std::string SentenceTokenizer::written(TokenId id) const {
  const AddedToken* token = added(id);
  if (token == nullptr) return model_bytes(id);
  return token->normalized ? normalizer_.apply(token->content) : token->content;
}

std::string SentenceTokenizer::token_bytes(TokenId id) const {
  if (const auto byte = fallback_byte(id)) return std::string(1, static_cast<char>(*byte));
  return decoder_.text_of(written(id));
}

std::string SentenceTokenizer::decode_text(std::span<const TokenId> ids, bool skip_special) const {
  std::string out, bytes;
  bool first = true;
  for (const TokenId id : ids) {
    const std::string token = written(id);
    if (token.empty() || (skip_special && is_special(id))) continue;
    if (const auto byte = fallback_byte(id)) {
      bytes += static_cast<char>(*byte);
    } else {
      append_bytes(bytes, out);
      out += first ? decoder_.first_text_of(token) : decoder_.text_of(token);
    }
    first = false;
  }
  append_bytes(bytes, out);
  decoder_.strip(out);
  return out;
}

}  // namespace longshot::tokenizer

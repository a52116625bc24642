#include "tokenizer/tokenizer.h"

#include <filesystem>
#include <utility>

#include "tokenizer/bpe/byte_level_tokenizer.h"
#include "tokenizer/bpe/sentence_tokenizer.h"
#include "tokenizer/character_tokenizer.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

// Real files nest about ten levels deep. A limit is needed because code that walks a tree of JSON
// recurses.
constexpr int kMaxNesting = 100;

bool nests_too_deeply(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kMaxNesting) return true;
  }
  return false;
}

// Whether a BPE vocabulary is written in the byte alphabet.
bool is_byte_level(const Json& json) {
  if (!json.contains("decoder") || !json["decoder"].is_object()) return true;
  const Json& decoder = json["decoder"];
  return !decoder.contains("type") || decoder["type"] == "ByteLevel";
}

}  // namespace

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return repair_utf8(bytes);
}

std::vector<int> Tokenizer::text_begins(std::span<const TokenId> ids) const {
  std::vector<int> begins;
  std::string bytes;  // of an incomplete character
  int at = 0;
  for (const TokenId id : ids) {
    const std::string piece = is_special(id) ? std::string() : token_bytes(id);
    const bool continues = piece.empty() || (static_cast<unsigned char>(piece[0]) & 0xC0) == 0x80;
    if (!continues) at += data::count_characters(repair_utf8(std::exchange(bytes, {})));
    begins.push_back(at);
    bytes += piece;
    const size_t whole = complete_bytes(bytes);
    at += data::count_characters(repair_utf8(bytes.substr(0, whole)));
    bytes.erase(0, whole);
  }
  return begins;
}

Result<std::unique_ptr<Tokenizer>> parse_tokenizer(TokenizerFiles files, const std::string& where) {
  if (nests_too_deeply(files.contents.at(0).second))
    return invalid_argument(where + ": nested too deeply");
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(files.contents.at(0).second, where));
  if (!json.is_object() || !json.contains("model") || !json["model"].is_object()) {
    return invalid_argument(where + ": key 'model' is missing or not an object");
  }
  // Files from before this key was introduced are BPE.
  LS_ASSIGN_OR_RETURN(const std::string type,
                      json_get_or<std::string>(json["model"], "type", "BPE", where + ": model"));
  if (type == "BPE")
    return is_byte_level(json) ? ByteLevelTokenizer::from_json(json, std::move(files), where)
                               : SentenceTokenizer::from_json(json, std::move(files), where);
  if (type == "Unigram") return SentenceTokenizer::from_json(json, std::move(files), where);
  if (type == "WordLevel") return CharacterTokenizer::from_json(json, std::move(files), where);
  return invalid_argument(where + ": model type '" + type +
                          "' is not supported (BPE and Unigram are)");
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& directory) {
  const auto has = [&](const char* name) {
    std::error_code ignored;  // reading reports an unreadable file
    return std::filesystem::exists(std::filesystem::path(directory) / name, ignored);
  };
  if (!has("tokenizer.json") && has("tokenizer.model")) return load_sentencepiece(directory);
  LS_ASSIGN_OR_RETURN(TokenizerFiles files, TokenizerFiles::read(directory));
  return parse_tokenizer(std::move(files),
                         (std::filesystem::path(directory) / "tokenizer.json").string());
}

}  // namespace longshot::tokenizer

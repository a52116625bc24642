#include "tokenizer/character_tokenizer.h"

#include <fmt/format.h>

#include "tokenizer/bpe/bpe_model.h"
#include "tokenizer/tokenizer_json.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kSpecialTokens[] = {"<pad>", "<eos>", "<unk>"};

OrderedJson added_token(int id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

// The pre-tokenizer of every file of this kind. With it the Python library splits into characters
// too.
OrderedJson character_split() {
  return {{"type", "Split"},
          {"pattern", {{"Regex", "[\\s\\S]"}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

OrderedJson tokenizer_json(const OrderedJson& vocab) {
  OrderedJson added = OrderedJson::array();
  for (int id = 0; id < 3; ++id) added.push_back(added_token(id, kSpecialTokens[id]));
  OrderedJson json;
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["added_tokens"] = added;
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = character_split();
  json["post_processor"] = nullptr;
  json["decoder"] = {{"type", "Fuse"}};
  json["model"] = {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "<unk>"}};
  return json;
}

TokenizerFiles character_files(const OrderedJson& vocab) {
  const OrderedJson specials = {
      {"eos_token", "<eos>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}};
  OrderedJson config = specials;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  config["model_max_length"] = 1000000000;
  TokenizerFiles files;
  files.contents = {{"tokenizer.json", dump_json(tokenizer_json(vocab), 2) + "\n"},
                    {"tokenizer_config.json", dump_json(config, 2) + "\n"},
                    {"special_tokens_map.json", dump_json(specials, 2) + "\n"}};
  return files;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_character_tokenizer(std::string_view alphabet) {
  if (!is_valid_utf8(alphabet)) return invalid_argument("the alphabet is not valid UTF-8");
  OrderedJson vocab = OrderedJson::object();
  int next = 0;
  for (const char* special : kSpecialTokens) vocab[special] = next++;
  for (size_t i = 0; i < alphabet.size();) {
    const int length = code_point_at(alphabet, i).length;
    const std::string character(alphabet.substr(i, length));
    if (vocab.contains(character))
      return invalid_argument("the alphabet has the character '" + character + "' twice");
    vocab[character] = next++;
    i += length;
  }
  return parse_tokenizer(character_files(vocab), "character tokenizer");
}

Result<std::unique_ptr<Tokenizer>> CharacterTokenizer::from_json(const Json& json,
                                                                 TokenizerFiles files,
                                                                 const std::string& where) {
  const Json split = character_split();
  if (!json.contains("pre_tokenizer") || json["pre_tokenizer"] != split) {
    return invalid_argument(
        where +
        ": a WordLevel model is supported with this pre_tokenizer only: " + dump_json(split));
  }
  auto tokenizer = std::make_unique<CharacterTokenizer>();
  LS_RETURN_IF_ERROR(tokenizer->read_model(json["model"], where + ": model"));
  LS_RETURN_IF_ERROR(
      tokenizer->read_common(json, static_cast<int>(tokenizer->tokens_.size()), where));
  tokenizer->files_ = std::move(files);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Status CharacterTokenizer::read_model(const Json& json, const std::string& where) {
  if (!json.contains("vocab")) return invalid_argument(where + ": key 'vocab' is missing");
  LS_ASSIGN_OR_RETURN(tokens_, parse_vocabulary(json["vocab"], where));
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    if (token.empty()) continue;
    by_text_[token] = static_cast<TokenId>(id);
    const CodePoint first = code_point_at(token, 0);
    if (first.length == static_cast<int>(token.size()))
      characters_[first.value] = static_cast<TokenId>(id);
  }
  LS_ASSIGN_OR_RETURN(const std::string unknown, json_get<std::string>(json, "unk_token", where));
  const auto found = by_text_.find(unknown);
  if (found == by_text_.end()) {
    return invalid_argument(where + ": key 'unk_token': '" + unknown +
                            "' is not in the vocabulary");
  }
  unknown_ = found->second;
  return {};
}

void CharacterTokenizer::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    const auto found = characters_.find(point.value);
    out.push_back(found == characters_.end() ? unknown_ : found->second);
    i += point.length;
  }
}

std::string CharacterTokenizer::model_bytes(TokenId id) const {
  return id >= 0 && id < static_cast<TokenId>(tokens_.size()) ? tokens_[id] : std::string();
}

std::optional<TokenId> CharacterTokenizer::model_id(std::string_view content) const {
  const auto found = by_text_.find(std::string(content));
  if (found == by_text_.end()) return std::nullopt;
  return found->second;
}

}  // namespace longshot::tokenizer

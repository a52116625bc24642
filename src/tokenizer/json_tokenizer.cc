#include "tokenizer/json_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/bpe/bpe_model.h"

namespace longshot::tokenizer {
namespace {

constexpr int kMaxDepth = 16;

}  // namespace

std::vector<TokenId> JsonTokenizer::encode(std::string_view text, bool parse_special) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  std::vector<TokenId> out;
  out.reserve(text.size() / 4 + 1);
  added_.split(
      text, normalizer_, parse_special, [&](TokenId id) { out.push_back(id); },
      [&](std::string_view part) { encode_plain(part, out); });
  return out;
}

std::string JsonTokenizer::token_bytes(TokenId id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr ? token->content : model_bytes(id);
}

bool JsonTokenizer::is_special(TokenId id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special;
}

std::optional<TokenId> JsonTokenizer::token_to_id(std::string_view token) const {
  const AddedToken* added = added_.find(std::string(token));
  return added != nullptr ? added->id : model_id(token);
}

Status JsonTokenizer::read_common(const Json& json, int model_size, const std::string& where) {
  const auto value = [&](const char* key) { return json.contains(key) ? json[key] : Json(); };
  LS_ASSIGN_OR_RETURN(normalizer_,
                      Normalizer::from_json(value("normalizer"), where + ": normalizer"));
  LS_RETURN_IF_ERROR(read_added_tokens(value("added_tokens"), model_size, where));
  return read_post_processor(value("post_processor"), where + ": post_processor", 0);
}

// A token that is also in the model's vocabulary must have the model's id. Other tokens must have
// ids of their own.
Status JsonTokenizer::read_added_tokens(const Json& json, int model_size,
                                        const std::string& where) {
  const int64_t count = json.is_array() ? static_cast<int64_t>(json.size()) : 0;
  const auto max_id = static_cast<TokenId>(model_size + count + kMaxIdGap);
  LS_ASSIGN_OR_RETURN(std::vector<AddedToken> tokens, parse_added_tokens(json, max_id, where));
  vocab_size_ = model_size;
  for (const AddedToken& token : tokens) {
    const auto known = model_id(token.content);
    if (known && *known != token.id) {
      return invalid_argument(
          fmt::format("{}: added token '{}' has id {}, but the vocabulary gives it {}", where,
                      token.content, token.id, *known));
    }
    if (!known && !model_bytes(token.id).empty()) {
      return invalid_argument(fmt::format("{}: added token '{}' has the id {} of another token",
                                          where, token.content, token.id));
    }
    vocab_size_ = std::max(vocab_size_, token.id + 1);
  }
  added_ = AddedVocabulary(std::move(tokens), normalizer_);
  return {};
}

// Finds the special token before the text in a TemplateProcessing.
Status JsonTokenizer::read_post_processor(const Json& json, const std::string& where, int depth) {
  if (json.is_null()) return {};
  if (depth > kMaxDepth) return invalid_argument(where + ": nested too deeply");
  LS_ASSIGN_OR_RETURN(const std::string type, json_get<std::string>(json, "type", where));
  if (type == "ByteLevel") return {};
  if (type == "Sequence") {
    LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "processors", where));
    if (!list.is_array()) return invalid_argument(where + ": key 'processors' is not a list");
    for (const Json& item : list) LS_RETURN_IF_ERROR(read_post_processor(item, where, depth + 1));
    return {};
  }
  if (type != "TemplateProcessing") {
    return invalid_argument(where + ": type '" + type +
                            "' is not supported (ByteLevel, TemplateProcessing, Sequence are)");
  }
  LS_ASSIGN_OR_RETURN(const Json single, json_get<Json>(json, "single", where));
  if (!single.is_array()) return invalid_argument(where + ": key 'single' is not a list");
  if (single.empty() || !single[0].is_object() || !single[0].contains("SpecialToken")) return {};
  LS_ASSIGN_OR_RETURN(const std::string name,
                      json_get<std::string>(single[0]["SpecialToken"], "id", where));
  leading_bos_ = token_to_id(name);
  if (!leading_bos_) return invalid_argument(where + ": '" + name + "' is not in the vocabulary");
  return {};
}

}  // namespace longshot::tokenizer

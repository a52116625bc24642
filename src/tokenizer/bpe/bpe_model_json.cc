#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/bpe/bpe_model.h"
#include "tokenizer/bpe/byte_alphabet.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

Status refuse_unless_empty(const Json& json, const char* key, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string value, json_get_or<std::string>(json, key, "", where));
  if (value.empty()) return {};
  return invalid_argument(
      fmt::format("{}: key '{}' is '{}'; only an empty one is supported", where, key, value));
}

// One entry of `merges`: "a b" or ["a", "b"].
Status parse_merge(const Json& json, std::string& left, std::string& right,
                   const std::string& where) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    left = json[0].get<std::string>();
    right = json[1].get<std::string>();
    return {};
  }
  if (json.is_string()) {
    const std::string text = json.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      left = text.substr(0, space);
      right = text.substr(space + 1);
      return {};
    }
  }
  return invalid_argument(where + " is not a pair of tokens");
}

}  // namespace

Result<std::vector<std::string>> parse_vocabulary(const Json& vocab, const std::string& where) {
  if (!vocab.is_object()) return invalid_argument(where + ": key 'vocab' is not an object");
  const int64_t limit = static_cast<int64_t>(vocab.size()) + kMaxIdGap;
  std::vector<std::string> tokens;
  for (const auto& [token, value] : vocab.items()) {
    const bool integer = value.is_number_integer();
    const int64_t id = integer ? value.get<int64_t>() : -1;
    if (id < 0 || id >= limit) {
      return invalid_argument(fmt::format(
          "{}: vocab: the id of '{}' must be an integer from 0 to {}", where, token, limit - 1));
    }
    if (id >= static_cast<int64_t>(tokens.size())) tokens.resize(id + 1);
    if (!tokens[id].empty()) {
      return invalid_argument(fmt::format("{}: vocab: '{}' and '{}' have the same id {}", where,
                                          tokens[id], token, id));
    }
    tokens[id] = token;
  }
  return tokens;
}

Result<BpeModel> BpeModel::from_json(const Json& json, BpeAlphabet alphabet,
                                     const std::string& where) {
  BpeModel model;
  model.alphabet_ = alphabet;
  LS_RETURN_IF_ERROR(model.read_vocabulary(json, where));
  LS_RETURN_IF_ERROR(model.read_options(json, where));
  LS_RETURN_IF_ERROR(model.read_merges(json, where));
  model.find_whole_tokens();
  return model;
}

Status BpeModel::read_vocabulary(const Json& json, const std::string& where) {
  if (!json.is_object() || !json.contains("vocab"))
    return invalid_argument(where + ": key 'vocab' is missing");
  LS_ASSIGN_OR_RETURN(bytes_, parse_vocabulary(json["vocab"], where));
  byte_ids_.fill(-1);
  alphabet_ == BpeAlphabet::bytes ? read_bytes() : read_characters();
  return {};
}

void BpeModel::read_bytes() {
  for (TokenId id = 0; id < size(); ++id) {
    if (bytes_[id].empty()) continue;
    std::optional<std::string> bytes = from_byte_alphabet(bytes_[id]);
    if (!bytes) {
      by_content_[bytes_[id]] = id;
      continue;
    }
    if (bytes->size() == 1) byte_ids_[static_cast<uint8_t>((*bytes)[0])] = id;
    bytes_[id] = *bytes;
    by_bytes_[std::move(*bytes)] = id;
  }
}

void BpeModel::read_characters() {
  for (TokenId id = 0; id < size(); ++id)
    if (!bytes_[id].empty()) by_bytes_[bytes_[id]] = id;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = by_bytes_.find(fmt::format("<0x{:02X}>", byte));
    if (found != by_bytes_.end()) byte_ids_[byte] = found->second;
  }
}

Status BpeModel::read_options(const Json& json, const std::string& where) {
  LS_RETURN_IF_ERROR(refuse_unless_empty(json, "continuing_subword_prefix", where));
  LS_RETURN_IF_ERROR(refuse_unless_empty(json, "end_of_word_suffix", where));
  LS_ASSIGN_OR_RETURN(const double dropout, json_get_or<double>(json, "dropout", 0.0, where));
  if (dropout != 0) return invalid_argument(where + ": key 'dropout' must be null or 0");
  LS_ASSIGN_OR_RETURN(fuse_unknown_, json_get_or<bool>(json, "fuse_unk", false, where));
  LS_ASSIGN_OR_RETURN(ignore_merges_, json_get_or<bool>(json, "ignore_merges", false, where));
  LS_ASSIGN_OR_RETURN(byte_fallback_, json_get_or<bool>(json, "byte_fallback", false, where));
  if (byte_fallback_ && std::find(byte_ids_.begin(), byte_ids_.end(), -1) != byte_ids_.end()) {
    return invalid_argument(
        where + ": key 'byte_fallback' is true and the vocabulary lacks some of the 256 bytes");
  }
  LS_ASSIGN_OR_RETURN(const std::string unknown,
                      json_get_or<std::string>(json, "unk_token", "", where));
  if (unknown.empty()) return {};
  unknown_ = token_to_id(unknown);
  if (!unknown_)
    return invalid_argument(where + ": key 'unk_token': '" + unknown +
                            "' is not in the vocabulary");
  return {};
}

Status BpeModel::read_merges(const Json& json, const std::string& where) {
  if (!json.contains("merges") || !json["merges"].is_array()) {
    return invalid_argument(where + ": key 'merges' is missing or not a list");
  }
  const Json& list = json["merges"];
  merges_ = MergeTable(list.size());
  std::string left;
  std::string right;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string entry = fmt::format("{}: merges[{}]", where, i);
    LS_RETURN_IF_ERROR(parse_merge(list[i], left, right, entry));
    LS_RETURN_IF_ERROR(add_merge(left, right, static_cast<int>(i), entry));
  }
  return {};
}

Status BpeModel::add_merge(const std::string& left, const std::string& right, int rank,
                           const std::string& where) {
  const auto left_id = token_to_id(left);
  const auto right_id = token_to_id(right);
  const auto merged = token_to_id(left + right);
  if (!left_id || !right_id || !merged) {
    const std::string& missing = !left_id ? left : !right_id ? right : left + right;
    return invalid_argument(where + ": '" + missing + "' is not in the vocabulary");
  }
  merges_.set(*left_id, *right_id, {rank, *merged});
  return {};
}

void BpeModel::find_whole_tokens() {
  whole_.assign(bytes_.size(), false);
  std::vector<TokenId> symbols;
  for (const auto& [bytes, id] : by_bytes_) {
    initial_symbols(bytes, symbols);
    merge_all(symbols);
    whole_[id] = symbols.size() == 1 && symbols[0] == id;
  }
}

}  // namespace longshot::tokenizer

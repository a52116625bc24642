#include "tokenizer/unigram/unigram_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

// How much more an unknown character costs than the most improbable token (SentencePiece,
// kUnkPenalty).
constexpr double kUnknownPenalty = 10;

}  // namespace

Result<UnigramModel> UnigramModel::from_json(const Json& json, const std::string& where) {
  UnigramModel model;
  LS_RETURN_IF_ERROR(model.read_vocabulary(json, where));
  LS_ASSIGN_OR_RETURN(const int64_t unknown, json_get<int64_t>(json, "unk_id", where));
  if (unknown < 0 || unknown >= model.size())
    return invalid_argument(
        fmt::format("{}: key 'unk_id' is {}, expected 0 to {}", where, unknown, model.size() - 1));
  model.unknown_ = static_cast<TokenId>(unknown);
  model.unknown_score_ = *std::ranges::min_element(model.scores_) - kUnknownPenalty;
  LS_ASSIGN_OR_RETURN(model.byte_fallback_, json_get_or<bool>(json, "byte_fallback", false, where));
  for (int byte = 0; byte < 256; ++byte) {
    model.byte_ids_[byte] = model.token_to_id(fmt::format("<0x{:02X}>", byte)).value_or(-1);
    if (model.byte_fallback_ && model.byte_ids_[byte] < 0)
      return invalid_argument(
          where + ": key 'byte_fallback' is true and the vocabulary lacks some of the 256 bytes");
  }
  return model;
}

Status UnigramModel::read_vocabulary(const Json& json, const std::string& where) {
  if (!json.contains("vocab") || !json["vocab"].is_array() || json["vocab"].empty())
    return invalid_argument(where + ": key 'vocab' is missing, empty or not a list");
  const Json& vocab = json["vocab"];
  for (size_t i = 0; i < vocab.size(); ++i) {
    const Json& entry = vocab[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      return invalid_argument(fmt::format("{}: vocab[{}] is not a token and a score", where, i));
    pieces_.push_back(entry[0].get<std::string>());
    scores_.push_back(entry[1].get<double>());
  }
  for (TokenId id = 0; id < size(); ++id) {
    if (!ids_.emplace(pieces_[id], id).second)
      return invalid_argument(
          fmt::format("{}: vocab[{}]: '{}' occurs twice", where, id, pieces_[id]));
    add_to_trie(pieces_[id], id);
  }
  return {};
}

void UnigramModel::add_to_trie(const std::string& piece, TokenId id) {
  uint64_t node = 0;
  for (const char c : piece) {
    const auto [edge, created] =
        edges_.try_emplace(node << 8 | static_cast<uint8_t>(c), ends_.size());
    if (created) ends_.push_back(-1);
    node = edge->second;
  }
  if (node != 0) ends_[node] = id;
}

// Tries every token that begins at `at`, and the unknown token if none is one character long. The
// first of equal ways is kept.
void UnigramModel::extend(std::string_view piece, size_t at, std::vector<Path>& paths) const {
  const double score = paths[at].score;
  const auto offer = [&](size_t end, TokenId id, double with) {
    Path& path = paths[end];
    if (path.last < 0 || with > path.score) path = {with, at, id};
  };
  const size_t character = at + static_cast<size_t>(code_point_at(piece, at).length);
  bool single = false;
  uint64_t node = 0;
  for (size_t i = at; i < piece.size(); ++i) {
    const auto edge = edges_.find(node << 8 | static_cast<uint8_t>(piece[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (ends_[node] < 0) continue;
    offer(i + 1, ends_[node], score + scores_[ends_[node]]);
    single = single || i + 1 == character;
  }
  if (!single) offer(character, unknown_, score + unknown_score_);
}

void UnigramModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  std::vector<Path> paths(piece.size() + 1);
  for (size_t at = 0; at < piece.size(); at += static_cast<size_t>(code_point_at(piece, at).length))
    extend(piece, at, paths);
  std::vector<size_t> begins;  // of the tokens, from the last to the first
  for (size_t end = piece.size(); end > 0; end = paths[end].begin) begins.push_back(end);
  size_t begin = 0;
  for (size_t i = begins.size(); i-- > 0;) {
    const bool unknown = paths[begins[i]].last == unknown_;
    if (unknown && i > 0 && paths[begins[i - 1]].last == unknown_) continue;  // they are one
    const std::string_view text = piece.substr(begin, begins[i] - begin);
    begin = begins[i];
    unknown ? append_unknown(text, out) : out.push_back(paths[begins[i]].last);
  }
}

void UnigramModel::append_unknown(std::string_view text, std::vector<TokenId>& out) const {
  if (const auto known = token_to_id(text)) {
    out.push_back(*known);
  } else if (byte_fallback_) {
    for (const char c : text) out.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  } else {
    out.push_back(unknown_);
  }
}

std::optional<TokenId> UnigramModel::token_to_id(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string& UnigramModel::token_bytes(TokenId id) const {
  static const std::string empty;
  return id >= 0 && id < size() ? pieces_[id] : empty;
}

std::optional<uint8_t> UnigramModel::fallback_byte(TokenId id) const {
  if (!byte_fallback_) return std::nullopt;
  const auto found = std::ranges::find(byte_ids_, id);
  if (found == byte_ids_.end()) return std::nullopt;
  return static_cast<uint8_t>(found - byte_ids_.begin());
}

}  // namespace longshot::tokenizer

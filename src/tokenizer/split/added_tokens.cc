#include "tokenizer/split/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace longshot::tokenizer {
namespace {

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word_character(code_point_before(text, text.size()).value);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && is_word_character(code_point_at(text, 0).value);
}

size_t trim_end(std::string_view text, size_t end) {
  while (end > 0) {
    const CodePoint last = code_point_before(text, end);
    if (!is_white_space(last.value)) break;
    end -= last.length;
  }
  return end;
}

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint next = code_point_at(text, at);
    if (!is_white_space(next.value)) break;
    at += next.length;
  }
  return at;
}

Result<AddedToken> parse_added_token(const Json& json, TokenId max_id, const std::string& where) {
  AddedToken token;
  LS_ASSIGN_OR_RETURN(const Json id, json_get<Json>(json, "id", where));
  if (!id.is_number_integer() || (!id.is_number_unsigned() && id.get<int64_t>() < 0) ||
      id.get<uint64_t>() > static_cast<uint64_t>(max_id)) {
    return invalid_argument(
        fmt::format("{}: key 'id' must be an integer from 0 to {}", where, max_id));
  }
  token.id = id.get<TokenId>();
  LS_ASSIGN_OR_RETURN(token.content, json_get<std::string>(json, "content", where));
  if (token.content.empty()) return invalid_argument(where + ": key 'content' is empty");
  LS_ASSIGN_OR_RETURN(token.single_word, json_get_or<bool>(json, "single_word", false, where));
  LS_ASSIGN_OR_RETURN(token.lstrip, json_get_or<bool>(json, "lstrip", false, where));
  LS_ASSIGN_OR_RETURN(token.rstrip, json_get_or<bool>(json, "rstrip", false, where));
  LS_ASSIGN_OR_RETURN(token.special, json_get_or<bool>(json, "special", false, where));
  LS_ASSIGN_OR_RETURN(token.normalized,
                      json_get_or<bool>(json, "normalized", !token.special, where));
  return token;
}

}  // namespace

Result<std::vector<AddedToken>> parse_added_tokens(const Json& list, TokenId max_id,
                                                   const std::string& where) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_array()) return invalid_argument(where + ": key 'added_tokens' is not a list");
  std::set<TokenId> ids;
  std::set<std::string> contents;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string entry = fmt::format("{}: added_tokens[{}]", where, i);
    LS_ASSIGN_OR_RETURN(AddedToken token, parse_added_token(list[i], max_id, entry));
    if (!ids.insert(token.id).second)
      return invalid_argument(fmt::format("{}: id {} is used twice", entry, token.id));
    if (!contents.insert(token.content).second) {
      return invalid_argument(entry + ": content '" + token.content + "' is used twice");
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void AddedVocabulary::Trie::insert(const std::string& content, int token) {
  uint64_t node = 0;
  for (const char c : content) {
    const auto [edge, created] =
        edges.try_emplace(node << 8 | static_cast<uint8_t>(c), ends.size());
    if (created) ends.push_back(-1);
    node = edge->second;
  }
  if (content.empty()) return;
  starts[static_cast<uint8_t>(content[0])] = true;
  if (ends[node] < 0) ends[node] = token;
}

int AddedVocabulary::Trie::longest_at(std::string_view text, size_t at, size_t& length) const {
  int found = -1;
  uint64_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto edge = edges.find(node << 8 | static_cast<uint8_t>(text[i]));
    if (edge == edges.end()) break;
    node = edge->second;
    if (ends[node] < 0) continue;
    found = ends[node];
    length = i + 1 - at;
  }
  return found;
}

// Special tokens are inserted first, because the first of two equal normalized forms is kept.
AddedVocabulary::AddedVocabulary(std::vector<AddedToken> tokens, const Normalizer& normalizer)
    : tokens_(std::move(tokens)) {
  for (const bool special : {true, false}) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.special != special) continue;
      by_id_[token.id] = static_cast<int>(i);
      by_content_[token.content] = static_cast<int>(i);
      if (token.normalized) {
        normalized_.insert(normalizer.apply(token.content), static_cast<int>(i));
      } else {
        raw_.insert(token.content, static_cast<int>(i));
      }
    }
  }
}

const AddedToken* AddedVocabulary::find(TokenId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedVocabulary::find(const std::string& content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

std::vector<AddedVocabulary::Match> AddedVocabulary::find_matches(std::string_view text,
                                                                  const Trie& trie,
                                                                  bool parse_special) const {
  std::vector<Match> matches;
  size_t covered = 0;
  size_t at = 0;
  while (at < text.size()) {
    size_t length = 0;
    const int index =
        trie.starts[static_cast<uint8_t>(text[at])] ? trie.longest_at(text, at, length) : -1;
    if (index < 0) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + length;
    at = end;  // a refused match is skipped as a whole
    const AddedToken& token = tokens_[index];
    if (token.special && !parse_special) continue;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end))))
      continue;
    if (token.lstrip) begin = std::max(trim_end(text, begin), covered);
    if (token.rstrip) end = skip_space(text, end);
    matches.push_back({begin, end, index});
    covered = end;
  }
  return matches;
}

void AddedVocabulary::split_by(std::string_view text, const Trie& trie, bool parse_special,
                               const std::function<void(TokenId)>& token,
                               const std::function<void(std::string_view)>& plain) const {
  size_t covered = 0;
  for (const Match& match : find_matches(text, trie, parse_special)) {
    if (match.begin > covered) plain(text.substr(covered, match.begin - covered));
    token(tokens_[match.token].id);
    covered = match.end;
  }
  if (covered < text.size()) plain(text.substr(covered));
}

void AddedVocabulary::split(std::string_view text, const Normalizer& normalizer, bool parse_special,
                            const std::function<void(TokenId)>& token,
                            const std::function<void(std::string_view)>& plain) const {
  split_by(text, raw_, parse_special, token, [&](std::string_view part) {
    if (normalizer.is_identity()) {
      split_by(part, normalized_, parse_special, token, plain);
    } else {
      split_by(normalizer.apply(part), normalized_, parse_special, token, plain);
    }
  });
}

}  // namespace longshot::tokenizer

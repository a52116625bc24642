#pragma once
// The `added_tokens` of tokenizer.json: tokens that are cut out of the text before it is
// pre-tokenized.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "data/types.h"
#include "tokenizer/split/normalizer.h"

namespace longshot::tokenizer {

using data::TokenId;

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;  // matches only between non-word characters
  bool lstrip = false;       // includes the white space before it
  bool rstrip = false;       // includes the white space after it
  bool normalized = false;   // found after normalization, in its normalized form
  bool special = false;
};

// Reads the list. Ids must be within [0, max_id]. Errors name `where` and the entry.
Result<std::vector<AddedToken>> parse_added_tokens(const Json& list, TokenId max_id,
                                                   const std::string& where);

// Immutable after construction; thread-safe.
class AddedVocabulary {
 public:
  AddedVocabulary() = default;
  // `tokens` must have distinct contents and ids.
  AddedVocabulary(std::vector<AddedToken> tokens, const Normalizer& normalizer);

  // Calls `token` for every added token of `text` and `plain` for the normalized text between them,
  // in order. Special tokens are treated as text if !parse_special. The views are valid only during
  // the call.
  void split(std::string_view text, const Normalizer& normalizer, bool parse_special,
             const std::function<void(TokenId)>& token,
             const std::function<void(std::string_view)>& plain) const;

  const AddedToken* find(TokenId id) const;
  const AddedToken* find(const std::string& content) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  // A byte trie for leftmost-longest search.
  struct Trie {
    void insert(const std::string& content, int token);
    // The longest entry at `at`: its token index, or -1.
    int longest_at(std::string_view text, size_t at, size_t& length) const;

    std::unordered_map<uint64_t, uint32_t> edges;  // node << 8 | byte → node
    std::vector<int> ends = {-1};                  // [node] token index or -1
    bool starts[256] = {};
  };
  struct Match {
    size_t begin, end;
    int token;
  };

  std::vector<Match> find_matches(std::string_view text, const Trie& trie,
                                  bool parse_special) const;
  void split_by(std::string_view text, const Trie& trie, bool parse_special,
                const std::function<void(TokenId)>& token,
                const std::function<void(std::string_view)>& plain) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<TokenId, int> by_id_;
  std::unordered_map<std::string, int> by_content_;
  Trie raw_;         // searched in the original text
  Trie normalized_;  // searched in the normalized text
};

}  // namespace longshot::tokenizer

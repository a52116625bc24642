#pragma once
// The `normalizer` of tokenizer.json: null, NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip,
// Precompiled, and sequences of these.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/split/pattern.h"
#include "tokenizer/unicode/unicode.h"
#include "tokenizer/unigram/character_map.h"

namespace longshot::tokenizer {

class Normalizer {
 public:
  // `json` is the value of the key. Errors name `where` and the unsupported type.
  static Result<Normalizer> from_json(const Json& json, const std::string& where);

  bool is_identity() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;  // text: valid UTF-8

 private:
  struct Step {
    enum class Kind { form, prepend, replace, strip, map } kind = Kind::form;
    NormalForm form = NormalForm::nfc;
    std::string text;  // what is prepended, or replaces the matches of `pattern`
    Pattern pattern;
    bool left = false, right = false;  // the sides that are stripped
    CharacterMap map;
  };
  static std::string apply(const Step& step, const std::string& text);

  Status add(const Json& json, const std::string& where, int depth);
  static Result<Step> read_step(const std::string& type, const Json& json,
                                const std::string& where);
  std::vector<Step> steps_;
};

}  // namespace longshot::tokenizer

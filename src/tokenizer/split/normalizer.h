#pragma once
// The `normalizer` of tokenizer.json: null, NFC, NFD, NFKC, NFKD, and sequences of these.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {

class Normalizer {
 public:
  // `json` is the value of the key. Errors name `where` and the unsupported type.
  static Result<Normalizer> from_json(const Json& json, const std::string& where);

  bool is_identity() const { return forms_.empty(); }
  std::string apply(std::string_view text) const;  // text: valid UTF-8

 private:
  Status add(const Json& json, const std::string& where, int depth);
  std::vector<NormalForm> forms_;
};

}  // namespace longshot::tokenizer

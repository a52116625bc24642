#pragma once
// The `pre_tokenizer` of tokenizer.json: Split, Digits and ByteLevel, alone or in a Sequence. The
// mapping of bytes to printable characters that ByteLevel stands for is not done: BpeModel works on
// the bytes.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/split/pattern.h"

namespace longshot::tokenizer {

// What becomes of the parts that a pattern matched.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// Joins or drops `parts` as the reference library does. Empty parts may remain.
void apply_behavior(SplitBehavior behavior, std::vector<PatternPart>& parts);

// Immutable after from_json(); thread-safe.
class PreTokenizer {
 public:
  // `json` is the value of the key; errors name `where` and what is not supported.
  static Result<PreTokenizer> from_json(const Json& json, const std::string& where);

  // Whether the last step is ByteLevel; a byte-level model needs it.
  bool is_byte_level() const { return byte_level_; }

  // Non-empty pieces of `text` (valid UTF-8). They point into `text` or into `storage`.
  void split(std::string_view text, std::vector<std::string_view>& pieces,
             std::deque<std::string>& storage) const;

 private:
  struct Step {
    bool splits = false;
    Pattern pattern;
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false;
    bool add_prefix_space = false;
  };

  Status add(const Json& json, const std::string& where, int depth);
  Status add_split(const Json& json, const std::string& where);
  Status add_digits(const Json& json, const std::string& where);
  Status add_byte_level(const Json& json, const std::string& where);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace longshot::tokenizer

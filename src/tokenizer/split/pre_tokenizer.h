#pragma once
// The `pre_tokenizer` of tokenizer.json: Split, WhitespaceSplit, Digits, Metaspace and ByteLevel,
// individually or in a Sequence. ByteLevel's mapping of bytes to printable characters is omitted,
// because BpeModel works on the bytes.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/split/pattern.h"

namespace longshot::tokenizer {

// The treatment of the parts that a pattern matched.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

// Joins or drops `parts` as the reference library does. Empty parts may remain.
void apply_behavior(SplitBehavior behavior, std::vector<PatternPart>& parts);

// Immutable after from_json(); thread-safe.
class PreTokenizer {
 public:
  // `json` is the value of the key. Errors name `where` and the unsupported part.
  static Result<PreTokenizer> from_json(const Json& json, const std::string& where);

  // True if the last step is ByteLevel, which a byte-level model needs.
  bool is_byte_level() const { return byte_level_; }

  // Non-empty pieces of `text`, which must be valid UTF-8. They point into `text` or into
  // `storage`. `at_start`: nothing precedes the text.
  void split(std::string_view text, bool at_start, std::vector<std::string_view>& pieces,
             std::deque<std::string>& storage) const;

 private:
  enum class Prepend { always, first, never };
  struct SplitStep {
    std::string replace_spaces(std::string_view piece, bool at_start) const;

    bool splits = false;
    Pattern pattern;
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false;
    bool add_prefix_space = false;
    std::string space;  // Metaspace: what spaces are written as; empty: as they are
    Prepend prepend = Prepend::never;
  };

  Status add(const Json& json, const std::string& where, int depth);
  Status add_split(const Json& json, const std::string& where);
  Status add_whitespace_split(const std::string& where);
  Status add_digits(const Json& json, const std::string& where);
  Status add_metaspace(const Json& json, const std::string& where);
  Status add_byte_level(const Json& json, const std::string& where);

  std::vector<SplitStep> steps_;
  bool byte_level_ = false;
};

}  // namespace longshot::tokenizer

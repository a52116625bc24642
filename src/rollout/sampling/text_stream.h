#pragma once
// Streams the text of a response as its tokens arrive. Released text is final: it never contains a
// part of a character, nor text that may turn out to be the beginning of a stop string.

#include <string>
#include <vector>

#include "data/types.h"
#include "tokenizer/tokenizer.h"

namespace longshot::rollout {

// All pieces together equal response_text() of the same tokens and stop strings. Not thread-safe.
class TextStream {
 public:
  // `tokenizer` is borrowed. No stop string may be empty.
  explicit TextStream(const tokenizer::Tokenizer& tokenizer,
                      std::vector<std::string> stop_strings = {})
      : tokenizer_(tokenizer), stop_strings_(std::move(stop_strings)) {}

  std::string add(data::TokenId token);  // the text that became certain; often empty
  std::string finish();                  // what was held back, at the end of the response

 private:
  std::string release(bool all);
  size_t held_back() const;

  const tokenizer::Tokenizer& tokenizer_;
  std::vector<std::string> stop_strings_;
  std::string bytes_;  // of an incomplete character
  std::string text_;   // valid UTF-8, not released yet
  bool stopped_ = false;
};

}  // namespace longshot::rollout

#include "rollout/sampling/text_stream.h"

#include <algorithm>

#include "tokenizer/unicode/unicode.h"

namespace longshot::rollout {

std::string TextStream::add(data::TokenId token) {
  if (stopped_ || tokenizer_.is_special(token)) return {};
  bytes_ += tokenizer_.token_bytes(token);
  const size_t whole = tokenizer::complete_bytes(bytes_);
  text_ += tokenizer::repair_utf8(bytes_.substr(0, whole));
  bytes_.erase(0, whole);
  return release(false);
}

std::string TextStream::finish() {
  if (stopped_) return {};
  text_ += tokenizer::repair_utf8(bytes_);
  bytes_.clear();
  return release(true);
}

std::string TextStream::release(bool all) {
  size_t cut = text_.size();
  for (const std::string& s : stop_strings_) cut = std::min(cut, text_.find(s));
  stopped_ = cut < text_.size();
  if (!stopped_ && !all) cut -= held_back();
  std::string out = text_.substr(0, cut);
  text_.erase(0, cut);
  return out;
}

// Length of the longest suffix of the text that is the beginning of a stop string.
size_t TextStream::held_back() const {
  size_t longest = 0;
  for (const std::string& s : stop_strings_) {
    for (size_t n = std::min(s.size() - 1, text_.size()); n > longest; --n) {
      if (text_.ends_with(std::string_view(s).substr(0, n))) longest = n;
    }
  }
  return longest;
}

}  // namespace longshot::rollout

#include "loop/offline/first_row.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/token_table.h"

namespace longshot::loop {
namespace {

std::string table_of(const RowSequence& sequence, const tokenizer::Tokenizer& tokenizer) {
  const bool scores = sequence.trained.empty();
  std::string text = fmt::format("\ntokens of {}:\n{}", sequence.name,
                                 tokenizer::token_table_head(scores ? "score" : "trained"));
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    const bool last = i + 1 == sequence.tokens.size();
    const char* figure = scores ? (last ? "here" : "") : (sequence.trained[i] != 0 ? "yes" : "");
    text += tokenizer::token_table_row(tokenizer, sequence.tokens[i], figure);
  }
  text.pop_back();
  return text;
}

}  // namespace

std::string sequence_text(const RowSequence& sequence, const tokenizer::Tokenizer& tokenizer,
                          bool show_tokens) {
  const auto trained = std::ranges::count_if(sequence.trained, [](uint8_t on) { return on != 0; });
  const bool scores = sequence.trained.empty();
  std::string text = fmt::format(
      "{} as the model sees it ({} tokens; {}):\n{}", sequence.name, sequence.tokens.size(),
      scores ? "the score is read at the last one"
             : fmt::format("the {} between « and » are trained on", trained),
      scores ? tokenizer.decode(sequence.tokens, false)
             : tokenizer::marked_text(tokenizer, sequence.tokens, sequence.trained));
  return show_tokens ? text + table_of(sequence, tokenizer) : text;
}

}  // namespace longshot::loop

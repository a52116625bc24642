#pragma once
// Rows for preference optimization: a prompt with a chosen and a rejected response.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "datasets/completion.h"
#include "datasets/examples.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

struct PairExample {
  MaskedTokens chosen, rejected;  // prompt and response; the mask marks the response
  int prompt = 0;                 // tokens with which both begin, none of them of a response
};

// Rows as TRL has them: `chosen` and `rejected`, both texts or both lists of messages, with a
// `prompt` (a text or messages) or with the prompt as their common beginning. With a `prompt` of
// messages, the responses may be texts, and responses that are whole chats may repeat it. The
// columns tools, documents and chat_template_kwargs go to the chat template. A prompt that is a
// text becomes the user's message as in SupervisedEncoder; texts without a `prompt` are encoded as
// they are, because they contain their own markup.
class PairEncoder final : public ExampleEncoder<PairExample> {
 public:
  // Tokenizer and template must outlive the encoder.
  PairEncoder(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat_template,
              data::TokenId eos, bool apply_chat_template);

  Result<PairExample> encode(const Row& row) override;
  int64_t longest(const PairExample& example) const override;
  // Both responses, and the prompt once.
  int64_t tokens(const PairExample& example) const override;
  // Warns of prompts that are texts, and of pairs without a difference, which have no gradient.
  void report() override;

 private:
  CompletionEncoder encoder_;
  bool apply_chat_template_;
  size_t rows_ = 0, texts_ = 0;  // encoded rows, and those whose prompt is a text
  size_t equal_ = 0;             // whose responses are the same
  bool reported_ = false;
};

}  // namespace longshot::datasets

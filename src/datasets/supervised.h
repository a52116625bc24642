#pragma once
// Rows for supervised fine-tuning.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "datasets/completion.h"
#include "datasets/encode.h"
#include "datasets/examples.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

// One supervised row (SFT): loss on response tokens only.
struct SupervisedExample : MaskedTokens {
  std::string where;
};

// Schemas: TRL messages (every assistant turn is trained on), prompt+completion (strings or message
// lists), text (plain language modelling: all tokens but the first), verl (prompt messages +
// extra_info.answer or `response`). A prompt that is a text becomes the user's message as in
// tokenize_prompts; report() warns of such prompts.
class SupervisedEncoder final : public ExampleEncoder<SupervisedExample> {
 public:
  // Tokenizer and template must outlive the encoder.
  SupervisedEncoder(const tokenizer::Tokenizer& tokenizer,
                    const tokenizer::ChatTemplate& chat_template, data::TokenId eos,
                    bool apply_chat_template = true, RawChoice choice = RawChoice::offered);

  Result<SupervisedExample> encode(const Row& row) override;
  int64_t longest(const SupervisedExample& example) const override { return tokens(example); }
  int64_t tokens(const SupervisedExample& example) const override {
    return static_cast<int64_t>(example.tokens.size());
  }
  void report() override;

 private:
  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatTemplate& chat_template_;
  data::TokenId eos_;
  bool apply_chat_template_;
  RawChoice choice_;
  size_t rows_ = 0, texts_ = 0;  // encoded rows, and those whose prompt is a text
  bool reported_ = false;
};

// read_examples() with a SupervisedEncoder.
Result<std::vector<SupervisedExample>> read_supervised(
    const std::vector<std::string>& files, const tokenizer::Tokenizer& tokenizer,
    const tokenizer::ChatTemplate& chat_template, data::TokenId eos, int max_length, int* dropped,
    bool apply_chat_template = true, RawChoice choice = RawChoice::offered);

}  // namespace longshot::datasets

#pragma once
// A prompt and its completion as tokens, of which those of the completion are trained on. The ids
// are those that a rollout works with: first the prompt's, then the response's, even where the
// tokenizer would merge across the border.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

struct MaskedTokens {
  std::vector<data::TokenId> tokens;
  std::vector<uint8_t> loss_mask;  // [tokens.size()] 1: the token is trained on
};

// References are borrowed.
struct CompletionEncoder {
  const tokenizer::Tokenizer& tokenizer;
  const tokenizer::ChatTemplate& chat_template;
  data::TokenId eos;
  bool wraps_texts = false;    // a prompt that is a text is the user's message
  std::string arguments = {};  // the row's own arguments for the template
};

// Trains on the assistant turns from message `first` on, each up to and including the token that
// ends the turn. The text before, within and after each turn is encoded piece by piece. `where`
// begins the error messages, here and below.
Result<MaskedTokens> encode_turns(const CompletionEncoder& encoder, const tokenizer::Chat& messages,
                                  size_t first, const std::string& where);

// Trains on `completion`, which gets an end-of-sequence token unless it ends with one. No template
// is applied.
Result<MaskedTokens> encode_texts(const CompletionEncoder& encoder, const std::string& prompt,
                                  const std::string& completion, const std::string& where);

// The one of the two that the forms of prompt and completion (texts or lists of messages) ask for.
Result<MaskedTokens> encode_completion(const CompletionEncoder& encoder, const OrderedJson& prompt,
                                       const OrderedJson& completion, const std::string& where);

}  // namespace longshot::datasets

// Rendering chats by the model's template beside tokenizing them.
//   template_bench DIRECTORY [CHATS]: a model directory with a tokenizer and a chat template.
// Each chat is a question of some 300 characters and two answers of some 2,000.

#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot {
namespace {

std::string text_of(size_t seed, size_t words) {
  constexpr const char* kWords[] = {"the",   "sum",  "of",    "three", "numbers", "is",  "larger,",
                                    "so we", "take", "x = 7", "and",   "then",    "add", "12.\n"};
  std::string text;
  for (size_t i = 0; i < words; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    text += kWords[(seed >> 33) % std::size(kWords)];
    text += ' ';
  }
  return text;
}

Status run(const std::string& directory, size_t count) {
  LS_ASSIGN_OR_RETURN(const auto tokenizer, tokenizer::load_tokenizer(directory));
  LS_ASSIGN_OR_RETURN(const auto chat_template, tokenizer::ChatTemplate::load(directory));
  std::vector<std::vector<data::Message>> chats;
  for (size_t i = 0; i < count; ++i)
    chats.push_back({{"user", text_of(i, 50)},
                     {"assistant", text_of(i + 1, 350)},
                     {"user", text_of(i + 2, 50)},
                     {"assistant", text_of(i + 3, 350)}});
  const Stopwatch rendering;
  std::vector<std::string> texts;
  for (const auto& chat : chats) {
    LS_ASSIGN_OR_RETURN(texts.emplace_back(), chat_template.render(chat, true));
  }
  const double rendered = rendering.seconds();
  const Stopwatch tokenizing;
  size_t tokens = 0;
  for (const std::string& text : texts) tokens += tokenizer->encode(text).size();
  const double encoded = tokenizing.seconds();
  fmt::print("{} chats, {} tokens: rendered in {:.2f} ms, tokenized in {:.2f} ms, {:.2f} %\n", count,
             tokens, rendered * 1e3, encoded * 1e3, 100 * rendered / encoded);
  return ok_status();
}

}  // namespace
}  // namespace longshot

int main(int argc, char** argv) {
  const size_t count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1000;
  const auto status = longshot::run(argc > 1 ? argv[1] : ".", count);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  return status.ok() ? 0 : 1;
}

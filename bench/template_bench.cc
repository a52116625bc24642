// Time to render chats with the model's template, compared with tokenizing them and with joining
// their texts without a template, which is the lower bound of any rendering.
//   template_bench DIRECTORY CHATS FILE...: a model directory with a tokenizer and a chat template,
//   and texts (docs/*.md, say) from which the chats are made.
// Each chat has two questions of about 300 characters and two answers of about 2,000, all
// different. Each text is dropped once it is rendered, as if it were tokenized at once. Times are
// processor times, so that other programs affect them little.

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "base/os/fs.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot {
namespace {

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Returns the next `size` bytes of a text, cut at spaces. The text restarts at its end.
class Source {
 public:
  explicit Source(std::string text) : text_(std::move(text)) {}
  std::string take(size_t size) {
    if (at_ + size + 100 > text_.size()) at_ = (at_ * 7) % (text_.size() / 2);
    const size_t begin = text_.find(' ', at_) + 1, end = text_.find(' ', begin + size);
    at_ = end;
    return text_.substr(begin, end - begin);
  }

 private:
  std::string text_;
  size_t at_ = 0;
};

Result<std::vector<tokenizer::Chat>> make_chats(int files, char** names, size_t count) {
  std::string text;
  for (int i = 0; i < files; ++i) {
    LS_ASSIGN_OR_RETURN(const std::string part, read_file(names[i]));
    text += part;
  }
  if (text.size() < 10'000) return invalid_argument("give texts of 10,000 bytes or more");
  Source source(std::move(text));
  std::vector<tokenizer::Chat> chats;
  for (size_t i = 0; i < count; ++i)
    chats.push_back(tokenizer::chat_of({{"user", source.take(300)},
                                        {"assistant", source.take(2000)},
                                        {"user", source.take(300)},
                                        {"assistant", source.take(2000)}}));
  return chats;
}

std::string join(const tokenizer::Chat& chat) {
  std::string text;
  size_t size = 0;
  for (const auto& message : chat) size += message.content.plain()->size() + 100;
  text.reserve(size);
  for (const auto& message : chat) {
    text += "<|im_start|>";
    text += message.role;
    text += "\n";
    text += *message.content.plain();
    text += "<|im_end|>\n";
  }
  return text;
}

struct Times {
  double joined = std::numeric_limits<double>::infinity(), rendered = joined, encoded = joined;
  size_t bytes = 0, tokens = 0;
};

Status measure(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat_template,
               const std::vector<tokenizer::Chat>& chats, Times& times) {
  // Once without the clock: both measurements then find the chats in the caches.
  size_t joined = 0;
  for (const auto& chat : chats) joined += join(chat).size();
  const double begin = processor_seconds();
  for (const auto& chat : chats) joined += join(chat).size();
  const double after_join = processor_seconds();
  times.bytes = 0;
  for (const auto& chat : chats) {
    LS_ASSIGN_OR_RETURN(const std::string text, chat_template.render_chat(chat, {true}));
    times.bytes += text.size();
  }
  const double after_render = processor_seconds();
  if (joined == 0) return invalid_argument("the chats are empty");
  std::vector<std::string> texts;
  for (const auto& chat : chats) {
    LS_ASSIGN_OR_RETURN(std::string text, chat_template.render_chat(chat, {true}));
    texts.push_back(std::move(text));
  }
  const double before_encode = processor_seconds();
  times.tokens = 0;
  for (const std::string& text : texts) times.tokens += tokenizer.encode(text).size();
  times.encoded = std::min(times.encoded, processor_seconds() - before_encode);
  times.joined = std::min(times.joined, after_join - begin);
  times.rendered = std::min(times.rendered, after_render - after_join);
  return ok_status();
}

Status run(const std::string& directory, const std::vector<tokenizer::Chat>& chats) {
  LS_ASSIGN_OR_RETURN(const auto tokenizer, tokenizer::load_tokenizer(directory));
  LS_ASSIGN_OR_RETURN(const auto chat_template, tokenizer::ChatTemplate::load(directory));
  Times times;
  for (int round = 0; round < 9; ++round)
    LS_RETURN_IF_ERROR(measure(*tokenizer, chat_template, chats, times));
  const auto share = [&](double seconds) { return 100 * seconds / times.encoded; };
  fmt::print("{} chats, {} bytes, {} tokens, best of 9 rounds\n", chats.size(), times.bytes,
             times.tokens);
  fmt::print("tokenized   {:8.2f} ms\n", times.encoded * 1e3);
  fmt::print("rendered    {:8.2f} ms   {:.2f} %\n", times.rendered * 1e3, share(times.rendered));
  fmt::print("only joined {:8.2f} ms   {:.2f} %\n", times.joined * 1e3, share(times.joined));
  return ok_status();
}

Status run(int argc, char** argv) {
  if (argc < 4) return invalid_argument("usage: template_bench DIRECTORY CHATS FILE...");
  LS_ASSIGN_OR_RETURN(const auto chats,
                      make_chats(argc - 3, argv + 3, std::strtoul(argv[2], nullptr, 10)));
  return run(argv[1], chats);
}

}  // namespace
}  // namespace longshot

int main(int argc, char** argv) {
  const auto status = longshot::run(argc, argv);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.message());
  return status.ok() ? 0 : 1;
}

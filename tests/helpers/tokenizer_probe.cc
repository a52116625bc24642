// Helper of tests/golden/test_tokenizer.py: reads one JSON request per line on stdin and writes one
// JSON answer per line on stdout.
//   {"render": JINJA or null, "family": NAME, "messages": [...], "add_generation_prompt": BOOL}
//       → {"family", "text"}
//   {"chat_directory": DIR, "messages": [...], "add_generation_prompt": BOOL} → {"family", "text"}
//   {"alphabet": TEXT, "save": DIR} → {}         a character tokenizer
//   {"gguf": {...}, "save": DIR} → {}            a GGUF vocabulary
//   {"load": DIR, "save": DIR} → {"leading_bos", "vocab_size"}
// A failure is {"error": MESSAGE}.

#include <iostream>

#include "tokenizer/chat/chat_template.h"
#include "tokenizer/chat/chat_values.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {
namespace {

constexpr const char* kWhere = "request";

Result<ChatTemplate> template_of(const Json& request) {
  if (request.contains("chat_directory")) return ChatTemplate::load(request["chat_directory"]);
  if (request.contains("family")) return ChatTemplate::of_family(request["family"]);
  return ChatTemplate::from_jinja(request["render"].get<std::string>());
}

Result<Json> render(const OrderedJson& given) {
  const Json request(given);
  LS_ASSIGN_OR_RETURN(const ChatTemplate chat, template_of(request));
  Chat messages;
  for (const OrderedJson& item : given["messages"]) {
    LS_ASSIGN_OR_RETURN(ChatMessage message, message_of(item, "message"));
    messages.push_back(std::move(message));
  }
  ChatOptions options;
  options.add_generation_prompt = request.value("add_generation_prompt", false);
  options.continue_final_message = request.value("continue_final_message", false);
  if (given.contains("arguments")) options.arguments = dump_json(given["arguments"]);
  LS_ASSIGN_OR_RETURN(const std::string text, chat.render_chat(messages, options));
  return Json{{"family", chat.family()}, {"text", text}};
}

GgufVocabulary vocabulary_of(const Json& json) {
  const auto id = [&](const char* key) {
    return json.contains(key) ? std::optional<TokenId>(json[key].get<TokenId>()) : std::nullopt;
  };
  GgufVocabulary v;
  v.model = json["model"];
  v.pre = json["pre"];
  v.tokens = json["tokens"].get<std::vector<std::string>>();
  v.token_types = json["token_types"].get<std::vector<int>>();
  v.merges = json["merges"].get<std::vector<std::string>>();
  v.scores = json.value("scores", std::vector<float>());
  v.bos = id("bos");
  v.eos = id("eos");
  v.pad = id("pad");
  v.unknown = id("unknown");
  v.add_bos = json["add_bos"];
  if (json.contains("add_space_prefix")) v.add_space_prefix = json["add_space_prefix"].get<bool>();
  v.chat_template = json["chat_template"];
  return v;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_of(const Json& request) {
  if (request.contains("alphabet"))
    return make_character_tokenizer(request["alphabet"].get<std::string>());
  if (request.contains("gguf")) return make_gguf_tokenizer(vocabulary_of(request["gguf"]));
  return load_tokenizer(request["load"]);
}

Result<Json> save(const Json& request) {
  LS_ASSIGN_OR_RETURN(const auto tokenizer, tokenizer_of(request));
  LS_RETURN_IF_ERROR(tokenizer->save(request["save"]));
  const auto bos = tokenizer->leading_bos();
  return Json{{"leading_bos", bos ? Json(*bos) : Json()}, {"vocab_size", tokenizer->vocab_size()}};
}

Result<Json> answer(const std::string& line) {
  LS_ASSIGN_OR_RETURN(const Json request, parse_json(line, kWhere));
  return request.contains("messages") ? render(request) : save(request);
}

}  // namespace
}  // namespace longshot::tokenizer

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto answer = longshot::tokenizer::answer(line);
    std::cout << longshot::dump_json(
                     answer.ok() ? *answer : longshot::Json{{"error", answer.status().message()}})
              << std::endl;
  }
}

#pragma once
// Small tokenizer.json texts for the tests.

#include <string>

#include "base/json.h"
#include "tokenizer/bpe/byte_alphabet.h"
#include "tokenizer/tokenizer_json.h"

namespace longshot::tokenizer {

// All 256 bytes in order of value (ids 0 to 255), a few merges, and the added tokens <|end|>
// (special) and <think> (not special).
inline Json small_bpe() {
  Json vocab = Json::object();
  for (int b = 0; b < 256; ++b) vocab[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = b;
  int next = 256;
  Json merges = Json::array();
  for (const auto& [left, right] : {std::pair{"h", "e"},
                                    {"l", "l"},
                                    {"he", "ll"},
                                    {"hell", "o"},
                                    {"a", "b"},
                                    {"b", "c"},
                                    {"Ġ", "hello"}}) {
    vocab[std::string(left) + right] = next++;
    merges.push_back(std::string(left) + " " + right);
  }
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["decoder"] = {{"type", "ByteLevel"}};
  json["added_tokens"] = {{{"id", next}, {"content", "<|end|>"}, {"special", true}},
                          {{"id", next + 1}, {"content", "<think>"}, {"normalized", false}}};
  return json;
}

inline Result<std::unique_ptr<Tokenizer>> parse_text(const std::string& text) {
  TokenizerFiles files;
  files.contents = {{"tokenizer.json", text}};
  return parse_tokenizer(std::move(files), "tokenizer.json");
}

inline Result<std::unique_ptr<Tokenizer>> parse(const Json& json) {
  return parse_text(dump_json(json));
}

}  // namespace longshot::tokenizer

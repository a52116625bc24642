// Broken and malicious files must give an error, never a crash.

#include <gtest/gtest.h>

#include <random>

#include "tokenizer/testing.h"

namespace longshot::tokenizer {
namespace {

constexpr int kTextMutations = 2000;
constexpr int kTreeMutations = 2000;

std::string mutate_text(std::string text, std::mt19937& random) {
  const int changes = 1 + random() % 4;
  for (int i = 0; i < changes && !text.empty(); ++i) {
    const size_t at = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, 1 + random() % 20);
        break;
      case 2:
        text.insert(at, text.substr(random() % text.size(), random() % 40));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

const Json& hostile_value(std::mt19937& random) {
  static const std::vector<Json> values = {nullptr,
                                           true,
                                           -1,
                                           0,
                                           1e9,
                                           4294967295u,
                                           int64_t{-9223372036854775807},
                                           1e300,
                                           "",
                                           "\\",
                                           "((((",
                                           "[",
                                           "(a*)*b",
                                           "\\p{L}{1,65535}",
                                           Json::array(),
                                           Json::object(),
                                           Json::array({Json::array()}),
                                           "Sequence",
                                           "ByteLevel"};
  return values[random() % values.size()];
}

// Replaces, removes or doubles one random value of the tree.
void mutate_tree(Json& json, std::mt19937& random, int depth = 0) {
  const bool leaf = !json.is_structured() || json.empty() || depth > 6;
  if (leaf || random() % 6 == 0) {
    json = hostile_value(random);
    return;
  }
  auto item = json.begin();
  std::advance(item, random() % json.size());
  switch (random() % 8) {
    case 0:
      json.erase(item);
      return;
    case 1:
      if (json.is_array()) json.push_back(Json(*item));
      return;
    default:
      mutate_tree(*item, random, depth + 1);
  }
}

// Uses a tokenizer that could be loaded.
void exercise(const Tokenizer& tokenizer) {
  const std::string text = "hello <|end|> \xFF 12 \u00e9e\u0301 <think>abc";
  for (const bool special : {false, true}) {
    for (const TokenId id : tokenizer.encode(text, special)) ASSERT_LT(id, tokenizer.vocab_size());
  }
  (void)tokenizer.decode(
      std::vector<TokenId>{0, 5, tokenizer.vocab_size() - 1, tokenizer.vocab_size()});
}

Json with_every_key() {
  Json json = small_bpe();
  json["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", {{{"type", "NFC"}}, {{"type", "NFD"}}}}};
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", "\\p{L}+|[^\\s\\p{L}]"}}},
                      {"behavior", "Isolated"}};
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {split, {{"type", "Digits"}, {"individual_digits", true}}, {{"type", "ByteLevel"}}}}};
  json["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", {{{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}}}}};
  json["model"]["unk_token"] = "!";
  json["model"]["fuse_unk"] = true;
  json["model"]["byte_fallback"] = true;
  return json;
}

TEST(HostileFileTest, RandomBytesChangedInTheText) {
  std::mt19937 random(20260101);
  const std::string text = with_every_key().dump();
  int loaded = 0;
  for (int i = 0; i < kTextMutations; ++i) {
    const auto result = parse_text(mutate_text(text, random));
    if (!result.ok()) {
      EXPECT_NE(result.status().message(), "");
      continue;
    }
    ++loaded;
    exercise(**result);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, kTextMutations);
}

TEST(HostileFileTest, RandomValuesChangedInTheTree) {
  std::mt19937 random(20260102);
  const Json original = with_every_key();
  int loaded = 0;
  for (int i = 0; i < kTreeMutations; ++i) {
    Json json = original;
    for (int k = 1 + random() % 3; k > 0; --k) mutate_tree(json, random);
    const auto result = parse(json);
    if (!result.ok()) continue;
    ++loaded;
    exercise(**result);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, kTreeMutations);
}

TEST(HostileFileTest, CharacterTokenizersToo) {
  std::mt19937 random(20260103);
  Json json = {{"pre_tokenizer",
                {{"type", "Split"},
                 {"pattern", {{"Regex", "[\\s\\S]"}}},
                 {"behavior", "Isolated"},
                 {"invert", false}}},
               {"model",
                {{"type", "WordLevel"},
                 {"vocab", {{"<unk>", 0}, {"a", 1}, {"b", 2}}},
                 {"unk_token", "<unk>"}}},
               {"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}}}};
  int loaded = 0;
  for (int i = 0; i < kTreeMutations; ++i) {
    Json changed = json;
    mutate_tree(changed, random);
    const auto result = parse(changed);
    if (!result.ok()) continue;
    ++loaded;
    exercise(**result);
  }
  EXPECT_GT(loaded, 0);
}

}  // namespace
}  // namespace longshot::tokenizer

#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/os/fs.h"
#include "tokenizer/testing.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr TokenId kHello = 259;
constexpr TokenId kEnd = 263;
constexpr TokenId kThink = 264;

std::unique_ptr<Tokenizer> tokenizer_of(const Json& json) {
  auto result = parse(json);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return std::move(result).value();
}

std::string error_of(const Json& json) {
  const auto result = parse(json);
  return result.ok() ? "no error" : result.status().message();
}

// A directory that is removed at the end.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("longshot_" + name + std::to_string(::getpid()))) {
    EXPECT_TRUE(make_directories(path_).ok());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(Utf8Test, InvalidPartsBecomeOneReplacementEach) {
  EXPECT_EQ(repair_utf8("a\xFF"
                        "b"),
            "a\uFFFD"
            "b");
  EXPECT_EQ(repair_utf8("\xE2\x82"), "\uFFFD");                  // cut short: one part
  EXPECT_EQ(repair_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate: each byte
  EXPECT_EQ(repair_utf8("\xF0\x9F\x99\x82"), "\U0001F642");
  EXPECT_EQ(repair_utf8("\xC0\x80"), "\uFFFD\uFFFD");  // overlong
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));     // above U+10FFFF
}

TEST(BpeTest, MergesByRankThenFromTheLeft) {
  const auto tokenizer = tokenizer_of(small_bpe());
  EXPECT_THAT(tokenizer->encode("hello"), ElementsAre(kHello));
  EXPECT_THAT(tokenizer->encode(" hello"), ElementsAre(262));
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(260, 'c'));  // "a b" is merged before "b c"
  EXPECT_THAT(tokenizer->encode("abab"), ElementsAre(260, 260));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre());
}

TEST(BpeTest, LongPiecesMergeLikeShortOnes) {
  const auto tokenizer = tokenizer_of(small_bpe());
  std::string text;
  std::vector<TokenId> expected;
  for (int i = 0; i < 50; ++i) {
    text += "abchello";
    expected.insert(expected.end(), {260, 'c', kHello});
  }
  EXPECT_EQ(tokenizer->encode(text), expected);
}

TEST(BpeTest, AMegabyteWithoutSpacesTakesNoQuadraticTime) {
  const auto tokenizer = tokenizer_of(small_bpe());
  std::string text;
  while (text.size() < 1000000) text += "abchello";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer->encode(text).size(), text.size() / 8 * 3);
  EXPECT_EQ(tokenizer->encode(std::string(1000000, ' ')).size(), 1000000u);
  EXPECT_EQ(tokenizer->encode(std::string(1000000, '!')).size(), 1000000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(BpeTest, IgnoreMergesTakesAWholePieceFromTheVocabulary) {
  Json json = small_bpe();
  json["model"]["vocab"]["abc"] = 265;
  EXPECT_THAT(tokenizer_of(json)->encode("abc"), ElementsAre(260, 'c'));
  json["model"]["ignore_merges"] = true;
  EXPECT_THAT(tokenizer_of(json)->encode("abc"), ElementsAre(265));
}

TEST(BpeTest, BothFormsOfMergesMeanTheSame) {
  Json json = small_bpe();
  for (Json& merge : json["model"]["merges"]) {
    const std::string text = merge;
    const size_t space = text.find(' ');
    merge = {text.substr(0, space), text.substr(space + 1)};
  }
  EXPECT_THAT(tokenizer_of(json)->encode("hello hello"), ElementsAre(kHello, 262));
}

TEST(BpeTest, BytesOutsideTheVocabularyBecomeUnknownOrVanish) {
  Json json = small_bpe();
  json["model"]["vocab"].erase("z");
  EXPECT_THAT(tokenizer_of(json)->encode("hzz"), ElementsAre('h'));
  json["model"]["unk_token"] = "!";
  EXPECT_THAT(tokenizer_of(json)->encode("hzz"), ElementsAre('h', '!', '!'));
  json["model"]["fuse_unk"] = true;
  EXPECT_THAT(tokenizer_of(json)->encode("hzz"), ElementsAre('h', '!'));
}

TEST(DecodeTest, GivesBackTheTextAndMarksBrokenUtf8) {
  const auto tokenizer = tokenizer_of(small_bpe());
  const std::string text = "hello \U0001F642 \u00e9<|end|>\n";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), false), text);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), true), "hello \U0001F642 \u00e9\n");
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{0xF0, 0x9F, 'a'}),
            "\uFFFD"
            "a");
  EXPECT_EQ(tokenizer->token_bytes(0xF0), "\xF0");
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{-1, 100000}), "");
}

TEST(DecodeTest, TextBeginsCountCharacters) {
  const auto tokenizer = *parse(small_bpe());
  const auto end = *tokenizer->token_to_id("<|end|>");
  const auto hello = *tokenizer->token_to_id("hello");
  // "hello", "é" and "€" in bytes, a broken character, "x", and a special token, which has no text
  const std::vector<TokenId> ids = {hello, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xFF, 'x', end, 'y'};
  ASSERT_EQ(tokenizer->decode(ids), "hello\u00e9\u20ac\uFFFDxy");
  EXPECT_EQ(tokenizer->text_begins(ids), (std::vector<int>{0, 5, 5, 6, 6, 6, 7, 8, 9, 9}));
}

TEST(EncodeTest, InvalidInputIsRepairedFirst) {
  const auto tokenizer = tokenizer_of(small_bpe());
  EXPECT_EQ(tokenizer->encode("h\xFF"), tokenizer->encode("h\uFFFD"));
}

TEST(EncodeTest, ManyThreadsMayUseOneTokenizer) {
  const auto tokenizer = tokenizer_of(small_bpe());
  const std::string text = "hello abc \u00e9 123 <|end|> hello";
  const auto expected = tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) wrong[t] += tokenizer->encode(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(AddedTokensTest, SpecialTokensAreFoundUnlessAskedNotTo) {
  const auto tokenizer = tokenizer_of(small_bpe());
  EXPECT_THAT(tokenizer->encode("a<|end|>b"), ElementsAre('a', kEnd, 'b'));
  EXPECT_EQ(tokenizer->encode("<|end|>", false).size(), 7u);
  EXPECT_THAT(tokenizer->encode("<think>", false), ElementsAre(kThink));  // not a special token
  EXPECT_TRUE(tokenizer->is_special(kEnd));
  EXPECT_FALSE(tokenizer->is_special(kThink));
  EXPECT_EQ(tokenizer->token_to_id("<|end|>"), kEnd);
  EXPECT_EQ(tokenizer->vocab_size(), 265);
}

TEST(AddedTokensTest, LongestMatchWins) {
  Json json = small_bpe();
  json["added_tokens"].push_back({{"id", 265}, {"content", "<think>!"}, {"normalized", false}});
  EXPECT_THAT(tokenizer_of(json)->encode("<think>!<think>"), ElementsAre(265, kThink));
}

TEST(AddedTokensTest, StripFlagsTakeTheWhiteSpaceAlong) {
  Json json = small_bpe();
  json["added_tokens"][0]["lstrip"] = true;
  json["added_tokens"][1]["rstrip"] = true;
  EXPECT_THAT(tokenizer_of(json)->encode("a \n<|end|> b"), ElementsAre('a', kEnd, ' ', 'b'));
  EXPECT_THAT(tokenizer_of(json)->encode("a <think>\u00a0 b"), ElementsAre('a', ' ', kThink, 'b'));
}

TEST(AddedTokensTest, SingleWordNeedsNonWordNeighbours) {
  Json json = small_bpe();
  json["added_tokens"].push_back({{"id", 265}, {"content", "xy"}, {"single_word", true}});
  const auto tokenizer = tokenizer_of(json);
  EXPECT_THAT(tokenizer->encode("xy!"), ElementsAre(265, '!'));
  EXPECT_THAT(tokenizer->encode("axy"), ElementsAre('a', 'x', 'y'));
  EXPECT_THAT(tokenizer->encode("xy_"), ElementsAre('x', 'y', '_'));
}

TEST(AddedTokensTest, NormalizedTokensMatchTheNormalizedText) {
  Json json = small_bpe();
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"].push_back({{"id", 265}, {"content", "e\u0301!"}, {"normalized", true}});
  const auto tokenizer = tokenizer_of(json);
  EXPECT_THAT(tokenizer->encode("\u00e9!"), ElementsAre(265));
  EXPECT_THAT(tokenizer->encode("e\u0301!"), ElementsAre(265));
  EXPECT_THAT(tokenizer->encode("e\u0301"), ElementsAre(0xC3, 0xA9));
}

TEST(PostProcessorTest, FindsTheLeadingBos) {
  Json json = small_bpe();
  EXPECT_FALSE(tokenizer_of(json)->leading_bos().has_value());
  const Json processing = {{"type", "TemplateProcessing"},
                           {"single",
                            {{{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}},
                             {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}}};
  json["post_processor"] = {{"type", "Sequence"},
                            {"processors", {{{"type", "ByteLevel"}}, processing}}};
  EXPECT_EQ(tokenizer_of(json)->leading_bos(), kEnd);
  EXPECT_THAT(tokenizer_of(json)->encode("a"), ElementsAre('a'));
}

TEST(CharacterTokenizerTest, OneTokenACodePoint) {
  auto made = make_character_tokenizer("ab \u00e9\n");
  ASSERT_TRUE(made.ok()) << made.status().message();
  const Tokenizer& tokenizer = **made;
  EXPECT_EQ(tokenizer.vocab_size(), 8);
  EXPECT_THAT(tokenizer.encode("ba\u00e9\n"), ElementsAre(4, 3, 6, 7));
  EXPECT_THAT(tokenizer.encode("a<eos>x"), ElementsAre(3, 1, 2));
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{3, 6, 1}), "a\u00e9");
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.leading_bos().has_value());
}

TEST(CharacterTokenizerTest, RefusesADoubledCharacter) {
  const auto made = make_character_tokenizer("aba");
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.status().message(), HasSubstr("'a' twice"));
}

TEST(SaveTest, ACharacterTokenizerComesBackFromItsFiles) {
  const ScratchDirectory directory("character");
  auto made = make_character_tokenizer("0123456789+= ");
  ASSERT_TRUE((*made)->save(directory.path()).ok());
  auto loaded = load_tokenizer(directory.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ((*loaded)->encode("12+3=15<eos>"), (*made)->encode("12+3=15<eos>"));
  EXPECT_TRUE(std::filesystem::exists(directory.path() + "/special_tokens_map.json"));
}

TEST(SaveTest, FilesAreWrittenBackAsTheyWereRead) {
  const ScratchDirectory first("first");
  const ScratchDirectory second("second");
  const std::string text = small_bpe().dump(3) + "\n \n";
  const std::string config = "{ \"eos_token\":\"<|end|>\"}";
  ASSERT_TRUE(write_file_atomic(first.path() + "/tokenizer.json", text).ok());
  ASSERT_TRUE(write_file_atomic(first.path() + "/tokenizer_config.json", config).ok());
  auto loaded = load_tokenizer(first.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ASSERT_TRUE((*loaded)->save(second.path() + "/new").ok());
  EXPECT_EQ(read_file(second.path() + "/new/tokenizer.json").value(), text);
  EXPECT_EQ(read_file(second.path() + "/new/tokenizer_config.json").value(), config);
  EXPECT_FALSE(std::filesystem::exists(second.path() + "/new/special_tokens_map.json"));
}

TEST(LoadTest, AMissingFileIsNamed) {
  const auto loaded = load_tokenizer("/nowhere");
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), StatusCode::not_found);
  EXPECT_THAT(loaded.status().message(), HasSubstr("/nowhere/tokenizer.json"));
}

TEST(LoadTest, ErrorsNameTheKey) {
  Json json = small_bpe();
  json["model"]["vocab"]["x1"] = -3;
  EXPECT_THAT(error_of(json), HasSubstr("tokenizer.json: model: vocab: the id of 'x1'"));
  json["model"]["vocab"]["x1"] = 999999999999999;
  EXPECT_THAT(error_of(json), HasSubstr("the id of 'x1'"));
  json["model"]["vocab"]["x1"] = 17;
  EXPECT_THAT(error_of(json), HasSubstr("have the same id 17"));
  json = small_bpe();
  json["model"].erase("vocab");
  EXPECT_THAT(error_of(json), HasSubstr("key 'vocab' is missing"));
  json = small_bpe();
  json["model"]["merges"].push_back("q nothere");
  EXPECT_THAT(error_of(json), HasSubstr("merges[7]: 'nothere' is not in the vocabulary"));
  json = small_bpe();
  json["model"]["dropout"] = 0.1;
  EXPECT_THAT(error_of(json), HasSubstr("'dropout'"));
  json = small_bpe();
  json["added_tokens"][1]["id"] = 5;
  EXPECT_THAT(error_of(json), HasSubstr("'<think>' has the id 5 of another token"));
  json["added_tokens"][1]["id"] = 4000000000u;
  EXPECT_THAT(error_of(json), HasSubstr("added_tokens[1]: key 'id'"));
  json = small_bpe();
  json["model"]["type"] = "WordPiece";
  EXPECT_THAT(error_of(json), HasSubstr("model type 'WordPiece' is not supported"));
  json = small_bpe();
  json["normalizer"] = {{"type", "BertNormalizer"}};
  EXPECT_THAT(error_of(json), HasSubstr("normalizer: type 'BertNormalizer'"));
  json = small_bpe();
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  EXPECT_THAT(error_of(json), HasSubstr("pre_tokenizer: type 'BertPreTokenizer'"));
}

TEST(LoadTest, DeepNestingIsRefused) {
  Json json = small_bpe();
  Json nested = {{"type", "NFC"}};
  for (int i = 0; i < 1000; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  json["normalizer"] = nested;
  EXPECT_THAT(error_of(json), HasSubstr("nested too deeply"));
  const std::string brackets(200000, '[');
  EXPECT_FALSE(parse_text(brackets).ok());
  EXPECT_FALSE(parse_text(brackets + std::string(200000, ']')).ok());
  const std::string text = small_bpe().dump();
  const std::string deep = brackets + std::string(200000, ']');
  for (const char* key : {"normalizer", "pre_tokenizer", "post_processor", "other"}) {
    const std::string file = "{\"" + std::string(key) + "\": " + deep + "," + text.substr(1);
    EXPECT_THAT(parse_text(file).status().message(), HasSubstr("nested too deeply")) << key;
  }
  EXPECT_TRUE(
      parse_text("{\"other\": \"" + brackets + "\\\"" + brackets + "\"," + text.substr(1)).ok());
}

}  // namespace
}  // namespace longshot::tokenizer

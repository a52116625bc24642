#include "tokenizer/bpe/sentence_tokenizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <random>

#include "tokenizer/bpe/scored_merges.h"
#include "tokenizer/sentencepiece_file.h"
#include "tokenizer/testing.h"

namespace longshot::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// Ids 0 to 255 are the bytes, then come the pieces in this order.
constexpr const char* kPieces[] = {"<unk>", "▁", "a", "b", "▁a", "ab", "▁ab"};
constexpr TokenId kUnknown = 256, kSpace = 257, kA = 258, kB = 259, kSpaceA = 260, kSpaceAb = 262;

Json small() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = byte;
  for (const char* piece : kPieces) vocab[piece] = vocab.size();
  const Json space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  const Json back = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  return {
      {"normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "▁"}}, space}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders", {back, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}, strip}}}},
      {"added_tokens", Json::array({{{"id", 256}, {"content", "<unk>"}, {"special", true}}})},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocab},
        {"merges", Json::array({"▁ a", "a b", "▁a b"})}}}};
}

std::string error_of(const Json& json) {
  const auto made = parse(json);
  return made.ok() ? "no error" : made.status().message();
}

TEST(SentenceTokenizer, MergesCharactersAndFallsBackToBytes) {
  const auto made = parse(small());
  ASSERT_TRUE(made.ok()) << made.status().message();
  const Tokenizer& tokenizer = **made;
  EXPECT_THAT(tokenizer.encode("ab a"), ElementsAre(kSpaceAb, kSpaceA));
  EXPECT_THAT(tokenizer.encode("bé"), ElementsAre(kSpace, kB, 0xC3, 0xA9));
  EXPECT_THAT(tokenizer.encode("a<unk>a"), ElementsAre(kSpaceA, kUnknown, kSpaceA));
  EXPECT_EQ(tokenizer.token_bytes(kSpaceAb), " ab");
  EXPECT_EQ(tokenizer.token_bytes(0xC3), "\xC3");
}

TEST(SentenceTokenizer, DecodeTextRemovesTheSpaceBeforeTheText) {
  const auto made = parse(small());
  ASSERT_TRUE(made.ok()) << made.status().message();
  const std::vector<TokenId> ids = {kSpaceA, kB, 0xC3, 0xA9, kSpaceA, 0xC3, kA};
  EXPECT_EQ((*made)->decode(ids),
            " abé a\xEF\xBF\xBD"
            "a");
  EXPECT_EQ((*made)->decode_text(ids),
            "abé a\xEF\xBF\xBD"
            "a");
}

TEST(SentenceTokenizer, WithoutBytesUnknownCharactersAreOneToken) {
  Json json = small();
  json["model"]["byte_fallback"] = false;
  const auto made = parse(json);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_THAT((*made)->encode("éüa"), ElementsAre(kSpace, kUnknown, kA));
}

TEST(SentenceTokenizer, UnsupportedPartsAreNamed) {
  const auto changed = [](const char* pointer, const Json& value) {
    Json json = small();
    json[Json::json_pointer(pointer)] = value;
    return error_of(json);
  };
  EXPECT_THAT(changed("/decoder/decoders/0/type", "CTC"), HasSubstr("decoder: type 'CTC'"));
  EXPECT_THAT(changed("/decoder/decoders/3/stop", 1), HasSubstr("Strip: key 'stop' must be 0"));
  EXPECT_THAT(changed("/decoder/decoders/2/type", "ByteFallback"), HasSubstr("must follow Fuse"));
  EXPECT_THAT(changed("/normalizer/normalizers/0/type", "Nmt"), HasSubstr("type 'Nmt'"));
  EXPECT_THAT(changed("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", ""}}),
              HasSubstr("key 'replacement' is empty"));
  EXPECT_THAT(changed("/pre_tokenizer",
                      {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "last"}}),
              HasSubstr("prepend_scheme 'last'"));
  EXPECT_THAT(changed("/pre_tokenizer", {{"type", "ByteLevel"}}), HasSubstr("ends in ByteLevel"));
}

TEST(ScoredMerges, AreInTheOrderOfTheUnionsScores) {
  const std::vector<std::string> pieces = {"a", "b", "ab", "aba", "ba", "x", "abx"};
  const std::vector<float> scores = {-5, -6, -1, 0, -2, -7, 1};
  const std::vector<bool> usable = {true, true, true, true, true, true, false};
  EXPECT_THAT(scored_merges(pieces, scores, usable),
              ElementsAre(Pair("a", "ba"), Pair("ab", "a"), Pair("a", "b"), Pair("b", "a")));
}

// A field of a protobuf message.
std::string field(int number, std::string_view bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} +
         std::string(bytes);
}
std::string field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}

std::string small_model() {
  std::string out;
  for (const char* piece : kPieces) out += field(1, field(1, piece) + field(3, 1));
  return out + field(2, field(3, 2)) + field(3, field(1, "identity") + field(4, 0));
}

TEST(SentencepieceFile, ReadsPiecesAndRules) {
  const auto model = read_sentencepiece(small_model(), "tokenizer.model");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->vocabulary.tokens.size(), std::size(kPieces));
  EXPECT_EQ(model->vocabulary.tokens[6], "▁ab");
  EXPECT_EQ(model->vocabulary.add_space_prefix, true);
  EXPECT_FALSE(model->rules.unigram || model->rules.removes_spaces);
  const auto other = read_sentencepiece(
      small_model() + field(2, field(3, 1)) + field(3, field(2, "map") + field(4, 1)), "model");
  ASSERT_TRUE(other.ok()) << other.status().message();
  EXPECT_TRUE(other->rules.unigram && other->rules.removes_spaces);
  EXPECT_EQ(other->rules.character_map, "map");
}

TEST(SentencepieceFile, OtherFilesAreRefused) {
  const auto error = [](const std::string& bytes) {
    const auto read = read_sentencepiece(bytes, "tokenizer.model");
    return read.ok() ? "no error" : read.status().message();
  };
  EXPECT_THAT(error(small_model() + field(2, field(3, 4))), HasSubstr("is of type 4"));
  EXPECT_THAT(error(""), HasSubstr("has no pieces"));
  EXPECT_THAT(error("{}"), HasSubstr("damaged"));
}

// A file that was cut is refused, or is a shorter file of the same format.
TEST(SentencepieceFile, ACutFileIsRefusedOrShorter) {
  const std::string whole = small_model();
  int refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto read = read_sentencepiece(std::string_view(whole).substr(0, size), "cut");
    refused += !read.ok();
    if (read.ok()) {
      EXPECT_LE(read->vocabulary.tokens.size(), std::size(kPieces));
    }
  }
  EXPECT_GE(refused, static_cast<int>(whole.size()) / 2);
}

// By hand: "ab" costs 2.5 as one token and 3 as two; "ba" is cheaper as two, 3 against 4.
TEST(UnigramModel, TakesTheCutWithTheHighestScore) {
  const Json vocab =
      Json::array({Json::array({"<unk>", 0}), Json::array({"a", -1}), Json::array({"b", -2}),
                   Json::array({"ab", -2.5}), Json::array({"ba", -4})});
  Json json = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}};
  const auto model = UnigramModel::from_json(json, "model");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto ids = [&](std::string_view text) {
    std::vector<TokenId> out;
    model->encode(text, out);
    return out;
  };
  EXPECT_THAT(ids("ab"), ElementsAre(3));
  EXPECT_THAT(ids("ba"), ElementsAre(2, 1));
  EXPECT_THAT(ids("aba"), ElementsAre(3, 1));
  EXPECT_THAT(ids("éüa"), ElementsAre(0, 1));
  const auto error = [&](const char* key, const Json& value) {
    Json changed = json;
    changed[key] = value;
    const auto read = UnigramModel::from_json(changed, "model");
    return read.ok() ? "no error" : read.status().message();
  };
  EXPECT_THAT(error("unk_id", 5), HasSubstr("key 'unk_id' is 5, expected 0 to 4"));
  EXPECT_THAT(error("byte_fallback", true), HasSubstr("lacks some of the 256 bytes"));
  EXPECT_THAT(error("vocab", Json::array({"a"})), HasSubstr("vocab[0]"));
}

TEST(CharacterMap, DamagedTablesAreRefusedOrReplaceNothing) {
  EXPECT_FALSE(CharacterMap::parse("abc", "map").ok());
  EXPECT_FALSE(CharacterMap::parse(std::string("\x08\0\0\0abcd", 8), "map").ok());
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    std::string bytes("\x40\0\0\0", 4);
    for (int k = 0; k < 80; ++k) bytes += static_cast<char>(random());
    const auto map = CharacterMap::parse(bytes, "map");
    ASSERT_TRUE(map.ok());
    map->apply("a bc \u00e9\u0301 \u65e5");
  }
}

}  // namespace
}  // namespace longshot::tokenizer

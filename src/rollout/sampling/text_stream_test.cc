#include "rollout/sampling/text_stream.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "rollout/sampling/stop_rules.h"
#include "tokenizer/testing.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::rollout {
namespace {

using data::TokenId;

const tokenizer::Tokenizer& bytes() {  // ids 0 to 255 are the bytes
  static const auto made = *tokenizer::parse(tokenizer::small_bpe());
  return *made;
}

std::vector<TokenId> ids(const std::string& text) {
  std::vector<TokenId> out;
  for (const char c : text) out.push_back(static_cast<unsigned char>(c));
  return out;
}

TEST(TextStream, CharactersComeWhole) {
  TextStream stream(bytes());
  std::vector<std::string> pieces;
  for (const TokenId id : ids("a\xF0\x9F\x98\x80z")) pieces.push_back(stream.add(id));
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "", "", "", "\xF0\x9F\x98\x80", "z"}));
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, AnIncompleteCharacterAtTheEndIsReplaced) {
  TextStream stream(bytes());
  EXPECT_EQ(stream.add(0xE2), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, WhatMayBecomeAStopStringIsHeldBack) {
  TextStream stream(bytes(), {"STOP", "TEA"});
  std::string out;
  for (const TokenId id : ids("xSTSTE")) out += stream.add(id);
  EXPECT_EQ(out, "xSTS");  // "TE" may become TEA
  EXPECT_EQ(stream.add('A'), "");
  EXPECT_EQ(stream.add('B'), "");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, TheHeldBackTextComesAtTheEnd) {
  TextStream stream(bytes(), {"STOP"});
  EXPECT_EQ(stream.add('S'), "");
  EXPECT_EQ(stream.add('T'), "");
  EXPECT_EQ(stream.finish(), "ST");
}

RC_GTEST_PROP(TextStream, PiecesAreTheResponseTextAndEachIsValid, ()) {
  const std::string letters = "aab\xE2\x82\xAC\xF0\x9F\x98\x80\x80\xC3\xA9";
  const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(letters));
  const auto stops = *rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("ab", "aab", "b\xE2\x82\xAC",
                                    "\xC3\xA9"
                                    "a",
                                    "\xEF\xBF\xBD"));
  TextStream stream(bytes(), stops);
  std::string out;
  for (const TokenId id : ids(text)) {
    const std::string piece = stream.add(id);
    RC_ASSERT(tokenizer::is_valid_utf8(piece));
    out += piece;
  }
  out += stream.finish();
  RC_ASSERT(out == response_text(bytes(), ids(text), stops));
}

}  // namespace
}  // namespace longshot::rollout

#include "net/chunks.h"

#include <gtest/gtest.h>

namespace longshot::net {
namespace {

using State = Chunks::State;

// Feeds the text in pieces of `step` bytes.
State feed(const std::string& text, size_t step, std::string& body, std::string& rest) {
  Chunks chunks;
  ByteBuffer buffer;
  rest.clear();
  State state = State::more;
  size_t at = 0;
  for (; at < text.size() && state == State::more; at += step) {
    rest += text.substr(at, step);
    state = chunks.take(rest, buffer);
  }
  if (at < text.size()) rest += text.substr(at);
  body = buffer.view();
  return state;
}

class ChunksBySteps : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Steps, ChunksBySteps, ::testing::Values(1, 2, 3, 7, 1000));

TEST_P(ChunksBySteps, AreJoinedAndWhatFollowsStays) {
  std::string body, rest;
  const std::string text = "3\r\nabc\r\n00A;name=\"x\"\r\n0123456789\r\n0\r\n\r\nGET /";
  EXPECT_EQ(feed(text, GetParam(), body, rest), State::complete);
  EXPECT_EQ(body, "abc0123456789");
  EXPECT_EQ(rest, "GET /");
  EXPECT_EQ(feed("0\r\n\r\n", GetParam(), body, rest), State::complete);
  EXPECT_EQ(body + rest, "");
}

TEST_P(ChunksBySteps, WhatIsUnfinishedIsWaitedFor) {
  std::string body, rest;
  for (const char* text : {"", "3", "3\r", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r",
                           "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\n\r"})
    EXPECT_EQ(feed(text, GetParam(), body, rest), State::more) << text;
}

TEST_P(ChunksBySteps, WhatTwoReadersCouldTakeDifferentlyIsWrong) {
  std::string body, rest;
  for (const std::string text :
       {"x\r\n", "\r\nabc", "-1\r\n", "+3\r\nabc", "0x3\r\nabc", " 3\r\nabc", "3 \r\nabc",
        "3\r\nabcd\r\n", "ffffffffffffffffff\r\n", "0000000000003\r\nabc",
        "0\r\nTrailer: x\r\n\r\n", "3\r\nabc\n\r0\r\n\r\n"})
    EXPECT_EQ(feed(text, GetParam(), body, rest), State::wrong) << text;
  EXPECT_EQ(feed("3;" + std::string(5000, 'x'), GetParam(), body, rest), State::wrong);
}

}  // namespace
}  // namespace longshot::net

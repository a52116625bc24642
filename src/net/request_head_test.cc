#include "net/request_head.h"

#include <gtest/gtest.h>

#include <random>

namespace longshot::net {
namespace {

int status_of(const std::string& text) {
  RequestHead head;
  const auto problem = read_head(text, head);
  return problem ? problem->status : 200;
}

int with_headers(const std::string& headers) {
  return status_of("POST /x HTTP/1.1\r\n" + headers + "\r\n");
}

TEST(RequestHead, NamesMethodPathHeadersAndBody) {
  RequestHead head;
  ASSERT_FALSE(
      read_head("POST /v1/%41%zz%2?a=%42 HTTP/1.1\r\nHost: h\r\nCONTENT-Length: 12\r\n"
                "X-Empty:\r\nAuthorization: \t Bearer a%41 \r\nExpect: 100-Continue\r\n\r\n",
                head));
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/v1/A%zz%2");
  EXPECT_EQ(head.length, 12U);
  EXPECT_TRUE(head.has_body() && head.expects_continue && !head.chunked);
  EXPECT_EQ(head.header("authorization"), "Bearer a%41");
  EXPECT_EQ(head.header("x-empty"), "");
  EXPECT_EQ(head.header("x-missing"), std::nullopt);
  ASSERT_FALSE(read_head("GET * HTTP/1.0\r\nTransfer-Encoding: Chunked\r\n\r\n", head));
  EXPECT_TRUE(head.chunked && head.headers.size() == 1);
}

TEST(RequestHead, TheLibrarySeesNeitherBodyNorRange) {
  RequestHead head;
  ASSERT_FALSE(
      read_head("POST /x?q=1 HTTP/1.1\r\nrange: bytes=0-,0-\r\nIf-Range: x\r\nAccept: y\r\n"
                "Content-Type: multipart/form-data\r\nTransfer-Encoding: chunked\r\n\r\n",
                head));
  EXPECT_EQ(head.text, "POST /x?q=1 HTTP/1.1\r\nContent-Length: 0\r\naccept: y\r\n\r\n");
}

TEST(RequestHead, TwoLengthsAreNone) {
  EXPECT_EQ(with_headers("Content-Length: 5\r\n"), 200);
  EXPECT_EQ(with_headers("Content-Length: 5\r\nContent-Length: 5\r\n"), 400);
  EXPECT_EQ(with_headers("Content-Length: 5\r\ncontent-length: 6\r\n"), 400);
  EXPECT_EQ(with_headers("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400);
  EXPECT_EQ(with_headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
  for (const char* length :
       {"", "-1", "+5", "5, 5", "0x5", "5 5", "5a", "%35", "5.0", "１", "99999999999999999999999"})
    EXPECT_EQ(with_headers("Content-Length: " + std::string(length) + "\r\n"), 400) << length;
  for (const char* encoding :
       {"gzip", "gzip, chunked", "chunked, chunked", "%63hunked", "x chunked", ""})
    EXPECT_EQ(with_headers("Transfer-Encoding: " + std::string(encoding) + "\r\n"), 501)
        << encoding;
}

TEST(RequestHead, LinesThatAreNoHeadersAreRefused) {
  for (const char* line :
       {"no colon", ": no name", "Space : x", " folded", "\tfolded: x", "A\tB: x", "A: x\ny: z",
        "A: x\rB: z", "A: \x01", "A: \x7f", "(A): x", "\xff\xfe: x"})
    EXPECT_EQ(with_headers(std::string(line) + "\r\n"), 400) << line;
  EXPECT_EQ(with_headers(std::string("A: a\0b", 6) + "\r\n"), 400);
  EXPECT_EQ(with_headers("A: \xc3\xa4\tb\r\n"), 200);
  std::string many;
  for (int i = 0; i < 257; ++i) many += "X: y\r\n";
  EXPECT_EQ(with_headers(many), 431);
}

TEST(RequestHead, RequestLinesThatAreNone) {
  for (const char* line :
       {"", "GET", "GET /", "GET  HTTP/1.1", "GET /  HTTP/1.1", "GET /a b HTTP/1.1",
        " GET / HTTP/1.1", "G(T / HTTP/1.1", "GET / http/1.1", "GET /\tx HTTP/1.1",
        "GET / HTTP/1.1 ", "\x16\x03\x01"})
    EXPECT_EQ(status_of(std::string(line) + "\r\n\r\n"), 400) << line;
  for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/"})
    EXPECT_EQ(status_of("GET / " + std::string(version) + "\r\n\r\n"), 505) << version;
}

TEST(RequestHead, NoBytesEndTheProgram) {
  std::mt19937 random(1);
  const std::string alphabet("\r\n :;%/GET HTTP/1.1Content-Length\0\xff", 36);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t n = random() % 60; n > 0; --n) text += alphabet[random() % alphabet.size()];
    status_of(text + (i % 2 == 0 ? "\r\n\r\n" : ""));
  }
}

}  // namespace
}  // namespace longshot::net

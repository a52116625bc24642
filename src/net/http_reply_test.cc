#include "net/http_reply.h"

#include <gtest/gtest.h>

#include <ctime>

namespace longshot::net {
namespace {

TEST(ErrorText, IsTheMessageInTheFormsOfKnownServers) {
  EXPECT_EQ(error_text(R"({"error": {"message": "no model x", "type": "t", "code": 404}})"),
            "no model x");
  EXPECT_EQ(error_text(R"({"error": "model 'x' not found"})"), "model 'x' not found");
  EXPECT_EQ(error_text(R"({"object": "error", "message": "too long", "code": 400})"), "too long");
  EXPECT_EQ(error_text(R"({"detail": "Not Found"})"), "Not Found");
  EXPECT_EQ(error_text(R"({"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"},
                                      {"loc": ["body", "n"], "msg": "too large"}]})"),
            "body.messages.0: Field required; body.n: too large");
}

TEST(ErrorText, IsTheBodyItselfIfItHasAnotherForm) {
  for (const char* body : {"Bad Gateway", "", "[1]", "null", "{}", R"({"error": null})",
                           R"({"error": {"message": 3}})", R"({"detail": 3})"})
    EXPECT_EQ(error_text(body), body);
  EXPECT_EQ(error_text("  <html>busy</html>\r\n"), "<html>busy</html>");
  EXPECT_EQ(error_text(std::string(5000, 'x')).size(), 300u);
}

StatusCode code(int status, const std::string& body = "") {
  return check_http_status({status, body}, "service").code();
}

TEST(HttpStatus, TellsARefusalFromAServiceThatIsBusy) {
  for (int status : {200, 201, 204}) EXPECT_EQ(code(status), StatusCode::ok) << status;
  for (int status : {408, 425, 429, 500, 502, 503, 504, 529})
    EXPECT_EQ(code(status), StatusCode::unavailable) << status;
  for (int status : {301, 307, 400, 401, 403, 404, 405, 413, 422})
    EXPECT_EQ(code(status), StatusCode::invalid_argument) << status;
  EXPECT_EQ(check_http_status({404, R"({"detail": "Not Found"})"}, "judge").message(),
            "judge: status 404: Not Found");
}

TEST(HttpStatus, AnAccountThatIsUsedUpIsNotBusy) {
  EXPECT_EQ(code(429, R"({"error": {"message": "pay", "code": "insufficient_quota"}})"),
            StatusCode::invalid_argument);
  EXPECT_EQ(code(429, R"({"error": {"message": "slow", "code": "rate_limit_exceeded"}})"),
            StatusCode::unavailable);
}

std::string date_in(int seconds) {
  const std::time_t at = std::time(nullptr) + seconds;
  std::tm date = {};
  ::gmtime_r(&at, &date);
  char text[64];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &date);
  return text;
}

TEST(RetryAfter, IsANumberOrADate) {
  EXPECT_EQ(read_retry_after("7"), 7);
  EXPECT_EQ(read_retry_after(" 0.25 "), 0.25);
  EXPECT_NEAR(read_retry_after(date_in(100)), 100, 3);
  EXPECT_EQ(read_retry_after(date_in(-100)), 0);
  for (const char* other : {"", "soon", "7 s", "-3", "inf", "nan", "1e999", "Sat, 32 Foo 2026"})
    EXPECT_EQ(read_retry_after(other), 0) << other;
}

}  // namespace
}  // namespace longshot::net

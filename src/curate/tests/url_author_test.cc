#include "curate/tests/url_author.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/os/clock.h"
#include "base/os/stop.h"
#include "net/testing.h"

namespace longshot::curate {
namespace {

const char* const kAnswer =
    R"({"choices": [{"message": {"role": "assistant", "content": "hello"}}]})";

struct FakeService : net::FakeService {
  explicit FakeService(std::vector<net::FakeReply> replies)
      : net::FakeService("/v1/chat/completions", std::move(replies)) {}
  UrlAuthorOptions options() const {
    UrlAuthorOptions options;
    options.url = url() + "/v1";
    options.model = "m";
    options.timeout_seconds = 20;
    options.pause_seconds = 0.01;
    return options;
  }
  Json last() { return requests().back(); }
};

Result<std::string> ask(const UrlAuthorOptions& options, int attempt = 0) {
  const auto author = make_url_author(options);
  EXPECT_TRUE(author.ok()) << author.status().message();
  return (*author)->write({{"user", "hi"}}, attempt);
}

TEST(UrlAuthor, SendsWhatItWasGiven) {
  FakeService service({{200, kAnswer}});
  UrlAuthorOptions options = service.options();
  EXPECT_EQ(*ask(options), "hello");
  EXPECT_EQ(
      service.last(),
      Json::parse(
          R"({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 1.0,
                                            "top_p": 1.0, "max_tokens": 2048})"));
  EXPECT_EQ(service.key(), "");
  options.url += "/";
  options.system = "be brief";
  options.stop = {"END"};
  options.seed = 10;
  options.api_key = "secret";
  EXPECT_EQ(*ask(options, 2), "hello");
  const Json sent = service.last();
  EXPECT_EQ(sent["messages"][0], Json::parse(R"({"role": "system", "content": "be brief"})"));
  EXPECT_EQ(sent["stop"], Json::parse(R"(["END"])"));
  EXPECT_EQ(sent["seed"], 12);
  EXPECT_EQ(service.key(), "Bearer secret");
}

TEST(UrlAuthor, AFullServiceIsAskedAgain) {
  FakeService service({{429, "{}"}, {503, "{}"}, {200, kAnswer}});
  EXPECT_EQ(*ask(service.options()), "hello");
  EXPECT_EQ(service.requests().size(), 3u);
}

TEST(UrlAuthor, RetriesEnd) {
  FakeService service({{503, "busy"}});
  UrlAuthorOptions options = service.options();
  options.retries = 2;
  const auto answer = ask(options);
  EXPECT_EQ(answer.status().code(), StatusCode::unavailable);
  EXPECT_NE(answer.status().message().find("503"), std::string::npos);
  EXPECT_EQ(service.requests().size(), 3u);
}

TEST(UrlAuthor, RefusalsAreToldApart) {
  const auto code = [](int status, const char* body) {
    FakeService service({{status, body}});
    const auto answer = ask(service.options());
    EXPECT_EQ(service.requests().size(), 1u) << status;
    return answer.status().code();
  };
  EXPECT_EQ(code(401, "{}"), StatusCode::invalid_argument);  // every request would fail
  EXPECT_EQ(code(404, "{}"), StatusCode::invalid_argument);
  FakeService locked({{401, R"({"error": {"message": "no key"}})"}});
  const std::string why = ask(locked.options()).status().message();
  for (const char* part : {"status 401: no key", "--api-key", "--model"})
    EXPECT_NE(why.find(part), std::string::npos) << why;
  EXPECT_EQ(code(400, "too long"), StatusCode::corrupt);  // only this request fails
  for (const char* body :
       {"{}", "[]", "not JSON", R"({"choices": []})", R"({"choices": [{"message": {}}]})",
        R"({"choices": [{"message": {"content": null}}]})"})
    EXPECT_EQ(code(200, body), StatusCode::corrupt) << body;
}

TEST(UrlAuthor, AnAnswerWithoutTextIsExplained) {
  FakeService service({{200, R"({"choices": [{"message": {"content": null, "reasoning": "Let me"},
                                             "finish_reason": "length"}]})"}});
  EXPECT_NE(ask(service.options()).status().message().find("the reasoning used up max_tokens"),
            std::string::npos);
}

TEST(UrlAuthor, TheAddressMayLackItsPath) {
  FakeService service({{200, kAnswer}});
  for (const char* path : {"", "/", "/v1", "/v1/", "/v1/chat/completions"}) {
    UrlAuthorOptions options = service.options();
    options.url = service.url() + path;
    EXPECT_TRUE(ask(options).ok()) << path;
  }
}

TEST(UrlAuthor, AStopEndsTheWaiting) {
  FakeService service({{503, "{}"}});
  UrlAuthorOptions options = service.options();
  options.pause_seconds = 100;
  std::thread stopper([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    request_stop();
  });
  const Stopwatch watch;
  EXPECT_EQ(ask(options).status().code(), StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 20);
  stopper.join();
  clear_stop_request();
}

TEST(UrlAuthor, AnAddressThatIsNoneIsRefused) {
  UrlAuthorOptions options;
  options.url = "localhost:8000";
  const auto author = make_url_author(options);
  EXPECT_EQ(author.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(author.status().message().find("--url"), std::string::npos);
}

}  // namespace
}  // namespace longshot::curate

#include "make_tests/url_author.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "base/stop.h"

namespace longshot::make_tests {
namespace {

const char* const kAnswer =
    R"({"choices": [{"message": {"role": "assistant", "content": "hello"}}]})";

// Answers what it is told to, one after the other, the last one for ever.
class FakeService {
 public:
  explicit FakeService(std::vector<std::pair<int, std::string>> answers)
      : answers_(std::move(answers)) {
    server_.Post("/v1/chat/completions",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   std::lock_guard lock(mutex_);
                   last_ = Json::parse(request.body);
                   key_ = request.get_header_value("Authorization");
                   const auto& [status, body] = answers_[std::min(calls_++, answers_.size() - 1)];
                   response.status = status;
                   response.set_content(body, "application/json");
                 });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~FakeService() {
    server_.stop();
    thread_.join();
  }
  UrlAuthorOptions options() const {
    UrlAuthorOptions options;
    options.url = "http://127.0.0.1:" + std::to_string(port_) + "/v1";
    options.model = "m";
    options.timeout_seconds = 20;
    options.pause_seconds = 0.01;
    return options;
  }
  size_t calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  Json last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  std::string key() {
    std::lock_guard lock(mutex_);
    return key_;
  }

 private:
  httplib::Server server_;
  std::mutex mutex_;
  const std::vector<std::pair<int, std::string>> answers_;
  size_t calls_ = 0;
  Json last_;
  std::string key_;
  int port_ = 0;
  std::thread thread_;
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
  EXPECT_EQ(service.calls(), 3u);
}

TEST(UrlAuthor, RetriesEnd) {
  FakeService service({{503, "busy"}});
  UrlAuthorOptions options = service.options();
  options.retries = 2;
  const auto answer = ask(options);
  EXPECT_EQ(answer.status().code(), StatusCode::unavailable);
  EXPECT_NE(answer.status().message().find("503"), std::string::npos);
  EXPECT_EQ(service.calls(), 3u);
}

TEST(UrlAuthor, RefusalsAreToldApart) {
  const auto code = [](int status, const char* body) {
    FakeService service({{status, body}});
    const auto answer = ask(service.options());
    EXPECT_EQ(service.calls(), 1u) << status;
    return answer.status().code();
  };
  EXPECT_EQ(code(401, "{}"), StatusCode::invalid_argument);  // of all requests
  EXPECT_EQ(code(404, "{}"), StatusCode::invalid_argument);
  EXPECT_EQ(code(400, "too long"), StatusCode::corrupt);  // of this one
  for (const char* body :
       {"{}", "[]", "not JSON", R"({"choices": []})", R"({"choices": [{"message": {}}]})",
        R"({"choices": [{"message": {"content": null}}]})"})
    EXPECT_NE(code(200, body), StatusCode::ok) << body;
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
}  // namespace longshot::make_tests

#include "net/services.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/os/stop.h"
#include "net/testing.h"

namespace longshot::net {
namespace {

constexpr const char* kDone = R"({"done": true})";

struct Fake : FakeService {
  explicit Fake(std::vector<FakeReply> replies) : FakeService("/do", std::move(replies)) {}
  Url address() const { return {url(), "/do"}; }
};

Result<Json> post(const std::vector<Url>& urls, const Retries& retries = {}, double seconds = 20) {
  Services services(urls, {}, "test", retries);
  return services.post(Json::object(), Deadline::after_seconds(seconds));
}

TEST(Services, AFullServiceIsAskedAgain) {
  for (int status : {429, 500, 503}) {
    Fake fake({{status, "{}"}, {status, "{}"}, {200, kDone}});
    EXPECT_TRUE(post({fake.address()}, {.pause_seconds = 0.01}).ok()) << status;
    EXPECT_EQ(fake.requests().size(), 3u);
  }
}

TEST(Services, ARefusalIsFinal) {
  Fake fake({{404, R"({"detail": "Not Found"})"}});
  const auto reply = post({fake.address()});
  EXPECT_EQ(reply.status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(reply.status().message(), "test: " + fake.url() + ": status 404: Not Found");
  EXPECT_EQ(fake.requests().size(), 1u);
}

TEST(Services, AReplyThatIsNoObjectIsFinal) {
  for (const char* body : {"", "[]", "busy"}) {
    Fake fake({{200, body}});
    EXPECT_EQ(post({fake.address()}).status().code(), StatusCode::invalid_argument) << body;
    EXPECT_EQ(fake.requests().size(), 1u);
  }
}

TEST(Services, RepetitionsEndAtTheirNumber) {
  Fake fake({{503, "busy"}});
  const auto reply = post({fake.address()}, {.count = 2, .pause_seconds = 0.01});
  EXPECT_EQ(reply.status().code(), StatusCode::unavailable);
  EXPECT_EQ(fake.requests().size(), 3u);
}

TEST(Services, RepetitionsEndAtTheDeadline) {
  Fake fake({{503, "busy"}});
  const Stopwatch watch;
  const auto reply =
      post({fake.address()}, {.pause_seconds = 100, .longest_pause_seconds = 100}, 0.3);
  EXPECT_EQ(reply.status().code(), StatusCode::unavailable);
  EXPECT_LT(watch.seconds(), 20);
}

TEST(Services, AReplicaThatIsFreeGetsTheRequestWithoutAPause) {
  Fake full({{503, "busy"}}), free({{200, kDone}});
  const Retries slow{.pause_seconds = 100, .longest_pause_seconds = 100};
  const Stopwatch watch;
  EXPECT_TRUE(post({full.address(), {"http://127.0.0.1:1", "/do"}, free.address()}, slow).ok());
  EXPECT_LT(watch.seconds(), 20);
}

TEST(Services, ARequestHasALimitOfItsOwn) {
  Fake fake({{200, kDone, 1}, {200, kDone}});
  EXPECT_TRUE(post({fake.address()}, {.request_seconds = 0.2, .pause_seconds = 0.01}).ok());
  EXPECT_EQ(fake.requests().size(), 2u);
}

TEST(Services, RetryAfterLengthensThePause) {
  Fake fake({{.status = 429, .body = "{}", .retry_after = "0.5"}, {200, kDone}});
  const Stopwatch watch;
  EXPECT_TRUE(post({fake.address()}, {.pause_seconds = 0.01}).ok());
  EXPECT_GE(watch.seconds(), 0.5);
}

TEST(Services, RetryAfterOfOneReplicaDoesNotDelayTheOthers) {
  Fake away({{.status = 503, .body = "{}", .retry_after = "50"}});
  Fake full({{503, "{}"}, {200, kDone}});
  const Stopwatch watch;
  EXPECT_TRUE(post({away.address(), full.address()}, {.pause_seconds = 0.01}).ok());
  EXPECT_LT(watch.seconds(), 20);
}

TEST(Services, AStopEndsAPause) {
  Fake fake({{.status = 503, .body = "{}", .retry_after = "50"}});
  std::thread stopper([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    request_stop();
  });
  const Stopwatch watch;
  EXPECT_EQ(post({fake.address()}, {}, 100).status().code(), StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 20);
  stopper.join();
  clear_stop_request();
}

}  // namespace
}  // namespace longshot::net

#include "report/live.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/os/stop.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

class LiveTest : public testing::Test {
 protected:
  LiveTest() {
    fs::create_directories(folder_);
    add("{\"step\":1,\"a\":1}\n");
  }
  ~LiveTest() override { fs::remove_all(folder_); }
  void add(const std::string& line) const {
    std::ofstream(folder_ / "metrics.jsonl", std::ios::app) << line;
  }
  net::Reply get(const std::string& path, const std::string& version = "") const {
    for (const net::Route& route : live_routes({folder_}, {}))
      if (route.path == path) {
        net::Call call;
        call.path = path;
        call.query = {{"version", version}};
        return route.handler(call);
      }
    return {.status = 404};
  }

  const fs::path folder_ = testing::TempDir() + "/live." + std::to_string(getpid());
};

TEST_F(LiveTest, ThePageShowsWhatTheRunHasAndItsVersion) {
  const std::string first = version_of({folder_}), page = get("/").body;
  EXPECT_NE(page.find("\"steps\":[1]"), std::string::npos);
  EXPECT_NE(page.find("\"version\":\"" + first + "\""), std::string::npos);
  EXPECT_NE(page.find("EventSource"), std::string::npos);
  add("{\"step\":2,\"a\":2}\n");
  EXPECT_NE(version_of({folder_}), first);
  EXPECT_NE(get("/").body.find("\"steps\":[1,2]"), std::string::npos);
  EXPECT_EQ(make_report({folder_}, {})->find("EventSource"), std::string::npos);
  const std::string before_warning = version_of({folder_});
  std::ofstream(folder_ / "warnings.jsonl") << "{\"step\":2,\"text\":\"careful\"}\n";
  EXPECT_NE(version_of({folder_}), before_warning);
  EXPECT_NE(get("/").body.find("careful"), std::string::npos);
  const std::string before_event = version_of({folder_});
  std::ofstream(folder_ / "events.jsonl") << "{\"step\":2,\"event\":\"left\"}\n";
  EXPECT_NE(version_of({folder_}), before_event);
}

TEST_F(LiveTest, AnEventComesOnceTheRunHasWritten) {
  const std::string shown = version_of({folder_});
  net::Reply reply = get("/events", shown);
  EXPECT_EQ(reply.content_type, "text/event-stream");
  std::string piece;
  ASSERT_TRUE(reply.stream(piece));
  EXPECT_EQ(piece, ":\n\n");
  add("{\"step\":2,\"a\":2}\n");
  ASSERT_TRUE(reply.stream(piece));
  EXPECT_EQ(piece, "data: " + version_of({folder_}) + "\n\n");
  EXPECT_FALSE(reply.stream(piece));
}

TEST_F(LiveTest, AStopEndsTheEvents) {
  net::Reply reply = get("/events", version_of({folder_}));
  std::string piece;
  ASSERT_TRUE(reply.stream(piece));
  request_stop();
  const bool more = reply.stream(piece);
  clear_stop_request();
  EXPECT_FALSE(more);
}

TEST_F(LiveTest, ARunThatIsGoneIsAnErrorOfTheRequest) {
  fs::remove_all(folder_);
  EXPECT_GE(get("/").status, 400);
}

}  // namespace
}  // namespace longshot::report

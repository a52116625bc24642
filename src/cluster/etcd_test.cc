// Failures of real servers of etcd, and of the links to them.
#include "cluster/etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/json.h"
#include "cluster/election.h"
#include "cluster/etcd_testing.h"
#include "cluster/registration.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_etcd()) GTEST_SKIP() << kNeedsEtcd;
  }
};

std::unique_ptr<Directory> open(const std::vector<std::string>& endpoints, const std::string& run) {
  return make_etcd_directory({endpoints, run}, {.stream_seconds = 0.4});
}

// Deletes the history of the server before its current revision.
void compact(const EtcdServers& servers, int64_t revision) {
  httplib::Client client("http://" + servers.endpoint(0));
  const std::string body = R"({"revision":")" + std::to_string(revision) + R"("})";
  const auto reply = client.Post("/v3/kv/compaction", body, "application/json");
  ASSERT_TRUE(reply && reply->status == 200);
}

TEST_F(EtcdTest, AnUnreachableServerIsUnavailableAtTheDeadline) {
  Relay closed(1), silent(shared_etcd().port(0));
  silent.set(Relay::Mode::silent);
  const auto directory = open({closed.endpoint(), silent.endpoint()}, "unreachable");
  const Stopwatch watch;
  const Status status = directory->get("a", Deadline::after_seconds(0.5)).status();
  EXPECT_EQ(status.code(), StatusCode::unavailable);
  EXPECT_THAT(status.message(), HasSubstr(closed.endpoint() + ", " + silent.endpoint()));
  EXPECT_GE(watch.seconds(), 0.4);
  EXPECT_LT(watch.seconds(), 3);
}

TEST_F(EtcdTest, AnotherServerAnswersWithinTheDeadline) {
  Relay closed(1), silent(shared_etcd().port(0));
  silent.set(Relay::Mode::silent);
  const auto directory =
      open({silent.endpoint(), closed.endpoint(), shared_etcd().endpoint(0)}, "failover");
  EXPECT_TRUE(directory->put("a", "1", 0, Deadline::after_seconds(3)).ok());
  // The server that answered is asked first from now on.
  EXPECT_TRUE(directory->put("a", "2", 0, Deadline::after_seconds(0.9)).ok());
}

TEST_F(EtcdTest, ACommitWhoseAnswerWasLostCountsOnce) {
  Relay relay(shared_etcd().port(0));
  const auto direct = open({shared_etcd().endpoint(0)}, "lost");
  const auto increment = [&](const std::string& value) {
    const auto directory = open({relay.endpoint(), shared_etcd().endpoint(0)}, "lost");
    relay.set(Relay::Mode::drop_replies);
    const int64_t before = direct->get("n", soon())->revision;
    return directory
        ->commit({{"n", before}}, {{"n", value}, {"other", std::nullopt}},
                 Deadline::after_seconds(2))
        .value();
  };
  const Commit done = increment("1");
  EXPECT_TRUE(done.applied);
  EXPECT_EQ(direct->get("n", soon()).value(), (Entry{"n", "1", done.revision, 0}));
  EXPECT_EQ(increment("2").revision, done.revision + 1);
}

TEST_F(EtcdTest, ARepeatedCommitThatOthersPreventedIsRefused) {
  Relay relay(shared_etcd().port(0));
  relay.set(Relay::Mode::silent);
  const auto directory = open({relay.endpoint(), shared_etcd().endpoint(0)}, "prevented");
  const auto direct = open({shared_etcd().endpoint(0)}, "prevented");
  EXPECT_TRUE(direct->put("n", "of another writer", 0, soon()).ok());
  EXPECT_FALSE(directory->commit({{"n", 0}}, {{"n", "mine"}}, Deadline::after_seconds(1))->applied);
}

TEST_F(EtcdTest, AServerOfAnotherKindIsNamed) {
  httplib::Server server;
  server.Post(".*", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("<html>", "text/html");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  const auto directory = open({"127.0.0.1:" + std::to_string(port)}, "x");
  const Status status = directory->get("a", Deadline::after_seconds(0.2)).status();
  server.stop();
  thread.join();
  EXPECT_EQ(status.code(), StatusCode::unavailable);
  EXPECT_THAT(status.message(), HasSubstr("is this etcd's client port?"));
}

// No error ends the stream here; only its replacement finds the events.
TEST_F(EtcdTest, AWatchSurvivesAConnectionThatBecomesSilent) {
  Relay relay(shared_etcd().port(0));
  const auto direct = open({shared_etcd().endpoint(0)}, "silent");
  const auto directory = open({relay.endpoint()}, "silent");
  EventLog log;
  const auto watch = directory->watch("", direct->list("", soon()).value(), log.callback());
  for (const size_t count : {1, 2, 3}) {
    EXPECT_TRUE(direct->put("a", std::to_string(2 * count - 1), 0, soon()).ok());
    ASSERT_TRUE(eventually([&] { return log.size() == 2 * count - 1; }));
    relay.stall_connections();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(direct->put("a", std::to_string(2 * count), 0, soon()).ok());
    ASSERT_TRUE(eventually([&] { return log.size() == 2 * count; }));
  }
  EXPECT_THAT(log.texts(), ElementsAre("a=1", "a=2", "a=3", "a=4", "a=5", "a=6"));
}

TEST_F(EtcdTest, AWatchSurvivesAPartition) {
  Relay relay(shared_etcd().port(0));
  const auto direct = open({shared_etcd().endpoint(0)}, "partition");
  const auto directory = open({relay.endpoint()}, "partition");
  EventLog log;
  const auto watch = directory->watch("", direct->list("", soon()).value(), log.callback());
  EXPECT_TRUE(direct->put("a", "1", 0, soon()).ok());
  ASSERT_TRUE(eventually([&] { return log.size() == 1; }));
  relay.set(Relay::Mode::refuse);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(direct->put("a", "2", 0, soon()).ok());
  EXPECT_TRUE(direct->remove("a", soon()).ok());
  EXPECT_EQ(log.size(), 1u);
  relay.set(Relay::Mode::pass);
  ASSERT_TRUE(eventually([&] { return log.size() == 3; }));
  EXPECT_THAT(log.texts(), ElementsAre("a=1", "a=2", "-a"));
}

TEST_F(EtcdTest, AWatchSurvivesACompaction) {
  Relay relay(shared_etcd().port(0));
  const auto direct = open({shared_etcd().endpoint(0)}, "compacted");
  const auto put = [&](const std::string& key, const std::string& value) {
    return direct->put(key, value, 0, soon()).value();
  };
  put("a", "1");
  put("b", "1");
  const auto directory = open({relay.endpoint()}, "compacted");
  EventLog log;
  const auto watch = directory->watch("", direct->list("", soon()).value(), log.callback());
  put("a", "2");
  ASSERT_TRUE(eventually([&] { return log.size() == 1; }));
  relay.set(Relay::Mode::refuse);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  put("a", "3");
  EXPECT_TRUE(direct->remove("b", soon()).ok());
  compact(shared_etcd(), put("a", "4"));
  relay.set(Relay::Mode::pass);
  ASSERT_TRUE(eventually([&] { return log.size() >= 3; })) << testing::PrintToString(log.texts());
  put("a", "5");
  ASSERT_TRUE(eventually([&] { return log.size() == 4; }));
  EXPECT_THAT(log.texts(), ElementsAre("a=2", "a=4", "-b", "a=5"));
}

TEST_F(EtcdTest, AnIsolatedLeaderStepsDownAndAnotherWins) {
  Relay relay(shared_etcd().port(0));
  const auto far = open({relay.endpoint()}, "elect");
  const auto near = open({shared_etcd().endpoint(0)}, "elect");
  Election a(*far, "leader", "a", {.ttl_seconds = 1}), b(*near, "leader", "b", {.ttl_seconds = 1});
  EXPECT_EQ(a.campaign(soon()).value(), 1);
  EXPECT_FALSE(b.campaign(Deadline::after_seconds(0.1)).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_TRUE(a.still_leader());
  relay.set(Relay::Mode::silent);
  const auto won = b.campaign(Deadline::after_seconds(10));
  EXPECT_FALSE(a.still_leader());
  EXPECT_EQ(won.value(), 2);
  const Condition old = a.condition();
  EXPECT_FALSE(near->commit({old}, {{"current", "x"}}, soon())->applied);
  relay.set(Relay::Mode::refuse);  // so that resigning fails at once
}

// A writer of consecutive numbers, which counts a number once its write was acknowledged.
class Writer {
 public:
  explicit Writer(Directory& directory) : directory_(directory) {
    thread_ = std::thread([this] { work(); });
  }
  ~Writer() { stop(); }
  int acknowledged() const { return acknowledged_; }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void work() {
    while (!stopping_) {
      const std::string next = std::to_string(acknowledged_ + 1);
      const auto entry = directory_.get("n", Deadline::after_seconds(2));
      if (!entry.ok()) continue;
      const auto done =
          directory_.commit({{"n", entry->revision}}, {{"n", next}}, Deadline::after_seconds(2));
      // Nobody else writes. A commit without an answer is made again unless it is found.
      const bool found = entry->value == next;
      if (found || (done.ok() && done->applied)) ++acknowledged_;
    }
  }

  Directory& directory_;
  std::atomic<int> acknowledged_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// The number of the member that leads.
size_t leader_of(const EtcdServers& servers, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    httplib::Client client("http://" + servers.endpoint(i));
    const auto reply = client.Post("/v3/maintenance/status", "{}", "application/json");
    if (!reply) continue;
    const Json status = Json::parse(reply->body);
    if (status["leader"] == status["header"]["member_id"]) return i;
  }
  return 0;
}

TEST_F(EtcdTest, KillingTheLeaderLosesNoWriteAndNoEvent) {
  EtcdServers servers(3);
  const auto directory = make_etcd_directory(servers.url("kill"));
  EventLog log;
  const auto watch = directory->watch("", directory->list("", soon()).value(), log.callback());
  Writer writer(*directory);
  ASSERT_TRUE(eventually([&] { return writer.acknowledged() > 50; }));
  const size_t leader = leader_of(servers, 3);
  const int before = writer.acknowledged();
  servers.kill(leader);
  ASSERT_TRUE(eventually([&] { return writer.acknowledged() > before + 50; }));
  servers.restart(leader);
  ASSERT_TRUE(eventually([&] { return writer.acknowledged() > before + 100; }));
  writer.stop();
  const Entry last = directory->get("n", soon()).value();
  EXPECT_GE(std::stoi(last.value), writer.acknowledged());
  ASSERT_TRUE(
      eventually([&] { return !log.events().empty() && log.events().back().entry == last; }));
  std::vector<std::string> expected;
  for (int i = 1; i <= std::stoi(last.value); ++i) expected.push_back("n=" + std::to_string(i));
  EXPECT_EQ(log.texts(), expected);

  // Without a majority nothing is read or written.
  const std::vector<size_t> two = {(leader + 1) % 3, (leader + 2) % 3};
  for (const size_t member : two) servers.kill(member);
  const auto read = directory->get("n", Deadline::after_seconds(1));
  EXPECT_EQ(read.status().code(), StatusCode::unavailable);
  servers.restart(two[0]);
  const Deadline later = Deadline::after_seconds(10);
  const Entry end{"end", "", directory->put("end", "", 0, later).value(), 0};
  EXPECT_EQ(directory->get("n", soon()).value(), last);
  ASSERT_TRUE(eventually([&] { return log.events().back().entry == end; }));
  EXPECT_EQ(log.size(), expected.size() + 1);
}

TEST_F(EtcdTest, AStoppedServerIsUnavailableUntilItContinues) {
  EtcdServers servers;
  const auto directory = open(servers.url("stop").endpoints, "stop");
  RegistrationOptions options;
  options.ttl_seconds = 1;
  const auto registration =
      Registration::start(*directory, "workers/a", {{"slots", 1}}, options, soon()).value();
  EventLog log;
  const auto watch = directory->watch("", directory->list("", soon()).value(), log.callback());

  servers.signal(0, SIGSTOP);
  const Stopwatch stopped;
  while (stopped.seconds() < 5) {
    const Stopwatch call;
    EXPECT_EQ(directory->put("n", "1", 0, Deadline::after_seconds(0.5)).status().code(),
              StatusCode::unavailable);
    EXPECT_LT(call.seconds(), 3);
  }
  EXPECT_FALSE(registration->present());
  servers.signal(0, SIGCONT);

  ASSERT_TRUE(eventually([&] { return registration->present(); }));
  EXPECT_NE(directory->get("workers/a", soon())->revision, 0);
  const int64_t revision = directory->put("end", "1", 0, soon()).value();
  ASSERT_TRUE(
      eventually([&] { return log.size() > 0 && log.events().back().entry.revision == revision; }));
}

}  // namespace
}  // namespace longshot::cluster

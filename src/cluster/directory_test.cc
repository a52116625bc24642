// The contract of a Directory, for both implementations.
#include "cluster/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/etcd_testing.h"
#include "cluster/memory_directory.h"
#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::ElementsAre;

class DirectoryTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      directory_ = std::make_unique<MemoryDirectory>();
      return;
    }
    if (!has_etcd()) GTEST_SKIP() << kNeedsEtcd;
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    directory_ = make_etcd_directory(shared_etcd().url(name.substr(0, name.find('/'))),
                                     {.stream_seconds = 0.3});
  }

  int64_t put(const std::string& key, const std::string& value, int64_t lease = 0) {
    return directory_->put(key, value, lease, soon()).value();
  }
  Entry get(const std::string& key) { return directory_->get(key, soon()).value(); }
  bool commit(const std::vector<Condition>& conditions, const std::vector<Change>& changes) {
    return directory_->commit(conditions, changes, soon()).value().applied;
  }
  Listing list(const std::string& prefix) { return directory_->list(prefix, soon()).value(); }

  std::unique_ptr<Directory> directory_;
};

std::vector<std::string> keys(const Listing& listing) {
  std::vector<std::string> keys;
  for (const Entry& entry : listing.entries) keys.push_back(entry.key);
  return keys;
}

TEST_P(DirectoryTest, PutGetAndRemove) {
  EXPECT_EQ(get("a").revision, 0);
  const int64_t first = put("a", "1");
  EXPECT_EQ(get("a"), (Entry{"a", "1", first, 0}));
  const int64_t second = put("a", "2");
  EXPECT_GT(second, first);
  EXPECT_EQ(get("a"), (Entry{"a", "2", second, 0}));
  EXPECT_TRUE(directory_->remove("a", soon()).ok());
  EXPECT_EQ(get("a"), (Entry{"a", "", 0, 0}));
  EXPECT_TRUE(directory_->remove("a", soon()).ok());
}

TEST_P(DirectoryTest, AnyBytesAreKeysAndValues) {
  const std::string bytes("\0\xff\n\"/x", 6);
  const int64_t revision = put(bytes, bytes);
  EXPECT_EQ(get(bytes), (Entry{bytes, bytes, revision, 0}));
  put("\xff\xff", "last");
  EXPECT_EQ(keys(list("\xff")), (std::vector<std::string>{"\xff\xff"}));
  EXPECT_EQ(keys(list("")).size(), 2u);
}

TEST_P(DirectoryTest, ListsAPrefixInOrder) {
  put("w/2", "b");
  put("w/10", "a");
  put("w", "no");
  const int64_t last = put("x/1", "no");
  const Listing listing = list("w/");
  EXPECT_THAT(keys(listing), ElementsAre("w/10", "w/2"));
  EXPECT_GE(listing.revision, last);
  EXPECT_THAT(keys(list("")), ElementsAre("w", "w/10", "w/2", "x/1"));
  EXPECT_TRUE(list("nothing").entries.empty());
}

TEST_P(DirectoryTest, CommitsAllChangesOrNone) {
  const int64_t epoch = put("epoch", "3");
  EXPECT_TRUE(commit({{"current", 0}, {"epoch", epoch}}, {{"current", "1"}, {"other", "x"}}));
  const Entry current = get("current");
  EXPECT_EQ(get("other").revision, current.revision);
  EXPECT_FALSE(commit({{"current", 0}, {"epoch", epoch}}, {{"current", "2"}}));
  EXPECT_FALSE(commit({{"current", current.revision}, {"epoch", epoch - 1}},
                      {{"current", "2"}, {"other", std::nullopt}}));
  EXPECT_EQ(get("current"), current);
  EXPECT_TRUE(commit({{"current", current.revision}, {"epoch", epoch}},
                     {{"current", "2"}, {"other", std::nullopt}}));
  EXPECT_EQ(get("current").value, "2");
  EXPECT_EQ(get("other").revision, 0);
  EXPECT_TRUE(commit({{"other", 0}}, {}));
  EXPECT_FALSE(commit({{"other", 1}}, {}));
}

TEST_P(DirectoryTest, RefusesMalformedCommits) {
  const auto code = [&](const std::vector<Change>& changes) {
    return directory_->commit({}, changes, soon()).status().code();
  };
  EXPECT_EQ(code({{"a", "1"}, {"a", "2"}}), StatusCode::invalid_argument);
  EXPECT_EQ(code({{"", "1"}}), StatusCode::invalid_argument);
  EXPECT_EQ(code({{"a", std::string(1 << 20, 'x')}}), StatusCode::invalid_argument);
  EXPECT_EQ(directory_->get("", soon()).status().code(), StatusCode::invalid_argument);
  std::vector<Change> many;
  for (int i = 0; i < 128; ++i) many.push_back({"k" + std::to_string(i), "v"});
  EXPECT_EQ(code(many), StatusCode::ok);
  many.push_back({"one more", "v"});
  EXPECT_EQ(code(many), StatusCode::invalid_argument);
  EXPECT_EQ(list("").entries.size(), 128u);
}

TEST_P(DirectoryTest, NothingHappensAfterTheDeadline) {
  const Deadline past = Deadline::after_seconds(0);
  EXPECT_EQ(directory_->put("a", "1", 0, past).status().code(), StatusCode::unavailable);
  EXPECT_EQ(directory_->list("", past).status().code(), StatusCode::unavailable);
  EXPECT_EQ(get("a").revision, 0);
}

TEST_P(DirectoryTest, ALeaseRemovesItsKeys) {
  const Lease lease = directory_->grant(20, soon()).value();
  EXPECT_GE(lease.ttl_seconds, 20);
  put("held", "1", lease.id);
  put("freed", "1", lease.id);
  put("freed", "2");
  put("joined", "1");
  put("joined", "2", lease.id);
  EXPECT_EQ(get("held").lease, lease.id);
  EXPECT_TRUE(directory_->keep_alive(lease.id, soon()).ok());
  EventLog log;
  const auto watch = directory_->watch("", list(""), log.callback());
  EXPECT_TRUE(directory_->revoke(lease.id, soon()).ok());
  EXPECT_THAT(keys(list("")), ElementsAre("freed"));
  ASSERT_TRUE(eventually([&] { return log.size() == 2; }));
  EXPECT_EQ(log.events()[0].entry.revision, log.events()[1].entry.revision);
}

TEST_P(DirectoryTest, ALostLeaseIsNotFound) {
  const int64_t lease = directory_->grant(20, soon()).value().id;
  EXPECT_TRUE(directory_->revoke(lease, soon()).ok());
  EXPECT_EQ(directory_->keep_alive(lease, soon()).code(), StatusCode::not_found);
  EXPECT_EQ(directory_->revoke(lease, soon()).code(), StatusCode::not_found);
  EXPECT_EQ(directory_->put("a", "1", lease, soon()).status().code(), StatusCode::not_found);
  // A refused commit does not look at its leases.
  EXPECT_FALSE(commit({{"a", 1}}, {{"a", "1", lease}}));
}

TEST_P(DirectoryTest, AWatchContinuesAListing) {
  put("w/1", "a");
  put("w/2", "b");
  const Listing listing = list("w/");
  put("w/1", "c");
  EventLog log;
  const auto watch = directory_->watch("w/", listing, log.callback());
  put("x", "no");
  const int64_t revision = put("w/3", "d");
  EXPECT_TRUE(commit({}, {{"w/2", std::nullopt}, {"w/4", "e"}}));
  ASSERT_TRUE(eventually([&] { return log.size() == 4; }));
  const auto events = log.events();
  EXPECT_THAT((std::vector<std::string>{log.texts()[0], log.texts()[1]}),
              ElementsAre("w/1=c", "w/3=d"));
  EXPECT_EQ(events[1], (Event{{"w/3", "d", revision, 0}, false}));
  EXPECT_EQ(events[2].entry.revision, events[3].entry.revision);
  EXPECT_THAT((std::vector<std::string>{log.texts()[2], log.texts()[3]}),
              testing::UnorderedElementsAre("-w/2", "w/4=e"));
}

TEST_P(DirectoryTest, AWatchWithoutAListingReportsTheCurrentKeysFirst) {
  put("w/1", "a");
  put("w/1", "b");
  put("w/2", "c");
  put("w/2", "gone");
  EXPECT_TRUE(directory_->remove("w/2", soon()).ok());
  EventLog log;
  const auto watch = directory_->watch("w/", {}, log.callback());
  ASSERT_TRUE(eventually([&] { return log.size() == 1; }));
  put("w/1", "d");
  ASSERT_TRUE(eventually([&] { return log.size() == 2; }));
  EXPECT_THAT(log.texts(), ElementsAre("w/1=b", "w/1=d"));
}

// The streams of etcd are replaced every 0.3 s here.
TEST_P(DirectoryTest, TwoWatchesSeeEveryChangeOnce) {
  EventLog log, other;
  put("k", "first");
  const auto late = directory_->watch("k", {}, other.callback());
  ASSERT_TRUE(eventually([&] { return other.size() == 1; }));
  const auto watch = directory_->watch("", list(""), log.callback());
  std::vector<std::string> expected;
  for (int i = 0; i < 150; ++i) {
    const std::string key = "k" + std::to_string(i % 7);
    put(key, std::to_string(i));
    expected.push_back(key + "=" + std::to_string(i));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(eventually([&] { return log.size() == 150 && other.size() == 151; }));
  EXPECT_EQ(log.texts(), expected);
  expected.insert(expected.begin(), "k=first");
  EXPECT_EQ(other.texts(), expected);
}

TEST_P(DirectoryTest, ThreadsIncrementACounterWithoutLoss) {
  put("n", "0");
  const auto increment = [&] {
    for (int done = 0; done < 10;) {
      const Entry entry = get("n");
      done += commit({{"n", entry.revision}}, {{"n", std::to_string(std::stoi(entry.value) + 1)}});
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(increment);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get("n").value, "40");
}

INSTANTIATE_TEST_SUITE_P(Both, DirectoryTest, testing::Values("memory", "etcd"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace longshot::cluster

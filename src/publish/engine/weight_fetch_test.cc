#include "publish/engine/weight_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "base/os/stop.h"
#include "publish/engine/peer_testing.h"

namespace longshot::publish {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Two chunks in the first tensor.
const RandomVersion& version() {
  static const RandomVersion made = random_version(7, {1'100'000, 1000, 33}, 1);
  return made;
}

FetchOptions single() {
  return {.connections = 1, .stall_seconds = 0.15, .host_name = "host"};
}

// A peer whose first answers are as planned, and a good one. The first is asked first, because the
// second reports readers.
struct Pair {
  explicit Pair(FakePeer::Plan plan)
      : bad(version(), std::move(plan)), good(version(), nullptr, 1) {}

  Result<Fetched> fetch_into(WeightStore& store, const FetchOptions& options = single()) {
    return fetch(version().manifest, {bad.url(), good.url()}, store, options,
                 Deadline::after_seconds(20));
  }
  FakePeer bad, good;
};

void expect_version(const Result<Fetched>& fetched) {
  ASSERT_TRUE(fetched.ok()) << fetched.status().to_string();
  EXPECT_TRUE(fetched->version->bytes() == version().data);
  for (const auto& [name, content] : version().files)
    EXPECT_EQ(fetched->version->file(name).value(), content);
}

TEST(Fetch, AVersionIsFetchedOnceAndThenHeld) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  FakePeer peer(version());
  const Deadline end = Deadline::after_seconds(20);
  const auto fetched = fetch(version().manifest, {peer.url()}, *store, {}, end);
  expect_version(fetched);
  EXPECT_EQ(fetched->bytes, version().data.size());
  const auto again = fetch(version().manifest, {peer.url()}, *store, {}, end);
  expect_version(again);
  EXPECT_EQ(again->bytes, 0u);
}

TEST(Fetch, ContinuesAtTheByteWhereAConnectionBroke) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  CounterRng rng(3);
  for (int i = 0; i < 200; ++i) {
    const uint64_t cut = rng.next_below(version().data.size());
    Pair peers([cut](int, const net::ByteRange&) { return Fault{.cut = cut}; });
    const auto fetched = peers.fetch_into(*store);
    expect_version(fetched);
    EXPECT_EQ(fetched->bytes, version().data.size()) << "nothing is fetched twice";
    ASSERT_EQ(peers.good.ranges().size(), 1u);
    EXPECT_EQ(peers.good.ranges()[0], (net::ByteRange{cut, version().data.size()}));
    ASSERT_TRUE(store->clear(Deadline::after_seconds(5)).ok());
  }
}

TEST(Fetch, AWrongChunkIsAskedAgainFromAnotherPeer) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  CounterRng rng(4);
  for (int i = 0; i < 20; ++i) {
    const uint64_t wrong = rng.next_below(version().data.size());
    Pair peers([wrong](int, const net::ByteRange&) { return Fault{.wrong = wrong}; });
    expect_version(peers.fetch_into(*store));
    ASSERT_EQ(peers.good.ranges().size(), 1u);
    const net::ByteRange again = peers.good.ranges()[0];
    EXPECT_LE(again.begin, wrong);
    EXPECT_GT(again.end, wrong);
    EXPECT_LE(again.size(), kChunkBytes);
    ASSERT_TRUE(store->clear(Deadline::after_seconds(5)).ok());
  }
}

TEST(Fetch, AWrongByteBeforeABreakIsFoundToo) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  Pair peers(
      [](int, const net::ByteRange&) { return Fault{.cut = 3'000'000, .wrong = 2'000'000}; });
  expect_version(peers.fetch_into(*store));
}

TEST(Fetch, PeersThatStallLieOrRefuseAreLeft) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  for (const Fault& fault :
       {Fault{.stall = 1000}, Fault{.stall = 0}, Fault{.lie = 100}, Fault{.lie = -100},
        Fault{.whole = true}, Fault{.status = 404}, Fault{.status = 503}, Fault{.status = 401}}) {
    Pair peers([&fault](int, const net::ByteRange&) { return fault; });
    expect_version(peers.fetch_into(*store));
    EXPECT_EQ(peers.good.ranges().size(), 1u);
    ASSERT_TRUE(store->clear(Deadline::after_seconds(5)).ok());
  }
}

TEST(Fetch, ASinglePeerThatBreaksNowAndThenIsEnough) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  FakePeer peer(version(), [](int request, const net::ByteRange&) {
    return request < 3 ? Fault{.cut = 100'000} : Fault{};
  });
  const auto fetched =
      fetch(version().manifest, {peer.url()}, *store, single(), Deadline::after_seconds(20));
  expect_version(fetched);
  EXPECT_EQ(fetched->bytes, version().data.size());
  EXPECT_EQ(peer.ranges().size(), 4u);
}

TEST(Fetch, SeveralConnectionsWithRandomFaultsGiveTheSameBytes) {
  const RandomVersion large = random_version(8, {9'000'000, 20, 12'000'000, 5}, 2);
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  CounterRng rng(5);  // used under the lock of each peer, one after the other
  std::mutex mutex;
  const auto faults = [&](int request, const net::ByteRange& range) {
    std::lock_guard lock(mutex);
    if (request > 3) return Fault{};
    const uint64_t at = rng.next_below(range.size());
    return rng.next_below(2) == 0 ? Fault{.cut = at} : Fault{.wrong = at};
  };
  FakePeer a(large, faults), b(large, faults), c(large, faults);
  const auto fetched = fetch(large.manifest, {a.url(), b.url(), c.url()}, *store,
                             {.connections = 3}, Deadline::after_seconds(30));
  ASSERT_TRUE(fetched.ok()) << fetched.status().to_string();
  EXPECT_TRUE(fetched->version->bytes() == large.data);
}

TEST(Fetch, WithoutAPeerThatHelpsTheErrorNamesHostAndCause) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  const struct {
    Fault fault;
    StatusCode code;
    const char* cause;
  } cases[] = {
      {{.wrong = 5'000}, StatusCode::corrupt, "wrong bytes"},
      {{.cut = 0}, StatusCode::unavailable, "ended"},
      {{.status = 404}, StatusCode::not_found, "404"},
      {{.status = 401}, StatusCode::invalid_argument, "401"},
      {{.lie = 5}, StatusCode::corrupt, "instead of bytes"},
  };
  for (const auto& c : cases) {
    FakePeer peer(version(), [&c](int, const net::ByteRange&) { return c.fault; });
    const auto failed =
        fetch(version().manifest, {peer.url()}, *store, single(), Deadline::after_seconds(20));
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.status().code(), c.code) << failed.status().to_string();
    EXPECT_THAT(failed.status().message(),
                AllOf(HasSubstr(peer.url()), HasSubstr(c.cause), HasSubstr("version 7")));
    EXPECT_EQ(store->latest(), nullptr);
  }
}

TEST(Fetch, NeverTakesLongerThanTheDeadline) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  FakePeer peer(version(), [](int, const net::ByteRange&) { return Fault{.stall = 10}; });
  FetchOptions options = single();
  options.stall_seconds = 60;
  const Stopwatch watch;
  const auto late =
      fetch(version().manifest, {peer.url()}, *store, options, Deadline::after_seconds(0.2));
  EXPECT_EQ(late.status().code(), StatusCode::timeout);
  EXPECT_THAT(late.status().message(), AllOf(HasSubstr(peer.url()), HasSubstr("MiB arrived")));
  EXPECT_LT(watch.seconds(), 5);
}

TEST(Fetch, EndsSoonWhenTheVersionIsNotWantedAnyMore) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  FakePeer peer(version(), [](int, const net::ByteRange&) { return Fault{.stall = 10}; });
  FetchOptions options = single();
  options.stall_seconds = 60;
  const Stopwatch watch;
  options.wanted = [&] { return watch.seconds() < 0.2; };
  const auto left =
      fetch(version().manifest, {peer.url()}, *store, options, Deadline::after_seconds(60));
  EXPECT_EQ(left.status().code(), StatusCode::unavailable) << left.status().to_string();
  EXPECT_THAT(left.status().message(), HasSubstr("not wanted"));
}

TEST(Fetch, OtherBitsUnderTheSameNumberAreReplaced) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  ASSERT_TRUE(put(*store, random_version(7, {10}, 99)).ok());
  FakePeer peer(version());
  const auto fetched =
      fetch(version().manifest, {peer.url()}, *store, single(), Deadline::after_seconds(20));
  expect_version(fetched);
  EXPECT_GT(fetched->bytes, 0u);
}

TEST(Fetch, TwoProcessesOfAHostFetchOnce) {
  const MemoryFolder folder;
  FakePeer peer(version());
  const std::string url = peer.url();
  std::vector<pid_t> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    const auto store = store_in(folder.path());
    const auto fetched =
        fetch(version().manifest, {url}, *store, single(), Deadline::after_seconds(20));
    const bool right = fetched.ok() && fetched->version->bytes() == version().data;
    _exit(!right ? 9 : fetched->bytes == 0 ? 0 : 1);
  }
  std::vector<int> codes;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    codes.push_back(WEXITSTATUS(status));
  }
  EXPECT_THAT(codes, testing::UnorderedElementsAre(0, 1)) << "0: nothing fetched, 1: all of it";
  EXPECT_EQ(peer.ranges().size(), 1u);
}

TEST(Fetch, WorksFromARealServerWithATokenAndTheFetcherServesInTurn) {
  const MemoryFolder folder;
  const auto first = store_in(folder.path() + "/1"), second = store_in(folder.path() + "/2"),
             third = store_in(folder.path() + "/3");
  ASSERT_TRUE(put(*first, version()).ok());
  const auto serve = [](WeightStore& store) {
    return WeightServer::start(store, {.credentials = {"secret"}}).value();
  };
  const auto a = serve(*first), b = serve(*second);
  const auto url = [](const auto& s) { return "http://127.0.0.1:" + std::to_string(s->port()); };
  const Deadline end = Deadline::after_seconds(20);
  const auto manifest = fetch_manifest(url(a), "run", std::nullopt, {"secret"}, end);
  ASSERT_TRUE(manifest.ok()) << manifest.status().to_string();
  FetchOptions options;
  const auto refused = fetch(*manifest, {url(a)}, *second, options, end);
  EXPECT_THAT(refused.status().message(), HasSubstr("401"));
  options.credentials.token = "secret";
  expect_version(fetch(*manifest, {url(a)}, *second, options, end));
  expect_version(fetch(*manifest, {url(b)}, *third, options, end));
}

TEST(FetchNewest, FollowsTheNewestOfAllPeersThatAnswer) {
  const MemoryFolder folder;
  const auto old = store_in(folder.path() + "/old"), recent = store_in(folder.path() + "/new"),
             mine = store_in(folder.path() + "/mine");
  const auto a = WeightServer::start(*old, {}).value(),
             b = WeightServer::start(*recent, {}).value();
  std::vector<std::string> peers = {"http://127.0.0.1:1"};
  const auto newest = [&] { return fetch_newest(peers, *mine, {}, Deadline::after_seconds(20)); };
  EXPECT_EQ(newest().status().code(), StatusCode::unavailable);
  for (const auto& server : {&a, &b})
    peers.push_back("http://127.0.0.1:" + std::to_string((*server)->port()));
  EXPECT_EQ(newest().status().code(), StatusCode::not_found);
  ASSERT_TRUE(put(*old, random_version(1, {10}, 1)).ok());
  EXPECT_EQ(newest()->version->manifest().version, 1);
  ASSERT_TRUE(put(*recent, random_version(3, {10}, 3)).ok());
  EXPECT_EQ(newest()->version->manifest().version, 3);
  EXPECT_EQ(newest()->bytes, 0u);
}

}  // namespace
}  // namespace longshot::publish

#include "publish/engine/peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/stop.h"
#include "publish/engine/peer_testing.h"

namespace longshot::publish {
namespace {

using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_seconds(10);
}

TEST(Peers, TheOneWithTheFewestReadersIsFirst) {
  const RandomVersion version = random_version(1, {10}, 1);
  FakePeer busy(version, nullptr, 5), idle(version, nullptr, 0), middle(version, nullptr, 2);
  auto peers = Peers::create({busy.url(), idle.url(), middle.url()}, "host").value();
  peers->inspect(version.manifest, {}, soon());
  std::vector<size_t> order;
  for (int i = 0; i < 5; ++i) order.push_back(peers->choose({}, soon())->index);
  EXPECT_EQ(std::vector<size_t>(order.begin(), order.begin() + 2), (std::vector<size_t>{1, 1}));
  EXPECT_EQ(std::count(order.begin(), order.end(), 0), 0);
  EXPECT_EQ(std::count(order.begin(), order.end(), 2), 1 + (order[2] == 2 && order[4] == 2));
}

TEST(Peers, HostsChooseDifferentlyAmongEqualOnes) {
  const std::vector<std::string> urls = {"http://a:1", "http://b:1", "http://c:1", "http://d:1"};
  std::vector<int> chosen(urls.size(), 0);
  for (int host = 0; host < 400; ++host) {
    auto peers = Peers::create(urls, "host" + std::to_string(host)).value();
    ++chosen[peers->choose({}, soon())->index];
  }
  for (const int count : chosen) EXPECT_GT(count, 60);
}

TEST(Peers, AFailedPeerRestsAndIsGivenUpInTheEnd) {
  auto peers = Peers::create({"http://a:1", "http://b:1"}, "host").value();
  const size_t first = peers->choose({}, soon())->index;
  peers->release(first);
  peers->failed(first, unavailable("broken"), false);
  EXPECT_NE(peers->choose({}, soon())->index, first);
  const size_t other = 1 - first;
  peers->release(other);
  for (size_t next = other; next != first; peers->release(next))  // until it has rested
    next = peers->choose({.avoid = other}, soon())->index;
  peers->failed(first, not_found("a does not have it"), true);
  EXPECT_EQ(peers->choose({.avoid = other}, soon())->index, other) << "there is no other";
  peers->release(other);
  for (int i = 0; i < 6; ++i) peers->failed(other, unavailable("b is gone"), false);
  const auto none = peers->choose({}, soon());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().message(), "b is gone");
}

TEST(Peers, AVersionThatIsNotWantedAnyMoreEndsTheChoice) {
  std::atomic<bool> wanted = true;
  auto peers = Peers::create({"http://a:1"}, "host", [&] { return wanted.load(); }).value();
  const size_t only = peers->choose({}, soon())->index;
  peers->release(only);
  for (int i = 0; i < 5; ++i) peers->failed(only, unavailable("broken"), false);  // rests for 0.8 s
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    wanted = false;
  });
  const auto none = peers->choose({}, Deadline::never());
  later.join();
  EXPECT_EQ(none.status().code(), StatusCode::unavailable);
}

TEST(Peers, PeersWithoutTheVersionAndSilentOnesAreFoundOut) {
  const RandomVersion version = random_version(1, {10}, 1), other = random_version(2, {10}, 1);
  FakePeer without(other, nullptr, 0), with(version, nullptr, 9);
  auto peers = Peers::create({without.url(), "http://127.0.0.1:1", with.url()}, "host").value();
  peers->inspect(version.manifest, {}, soon());
  EXPECT_EQ(peers->choose({}, soon())->index, 2u);
  peers->failed(2, unavailable("x"), true);
  EXPECT_EQ(peers->choose({}, soon())->index, 1u);
}

TEST(Peers, ManifestsAreReadAndChecked) {
  const RandomVersion version = random_version(4, {10}, 1);
  FakePeer peer(version);
  const auto manifest = fetch_manifest(peer.url(), "run", VersionId{0, 4}, {}, soon());
  ASSERT_TRUE(manifest.ok()) << manifest.status().to_string();
  EXPECT_EQ(fingerprint(*manifest), fingerprint(version.manifest));
  const auto wrong = fetch_manifest(peer.url(), "run", VersionId{0, 5}, {}, soon());
  EXPECT_EQ(wrong.status().code(), StatusCode::corrupt);
  EXPECT_THAT(wrong.status().message(), HasSubstr(peer.url()));
  const auto state = fetch_state(peer.url(), "run", {}, soon());
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->versions[0].id, (VersionId{0, 4}));
}

TEST(Peers, WrongUrlsAreErrors) {
  EXPECT_FALSE(Peers::create({}, "host").ok());
  EXPECT_FALSE(Peers::create({"host:1"}, "host").ok());
  EXPECT_FALSE(fetch_state("host:1", "run", {}, soon()).ok());
}

}  // namespace
}  // namespace longshot::publish

// Hosts that fetch a version at the same time, and serve one another what they have of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "publish/engine/peer_testing.h"
#include "publish/engine/weight_fetch.h"

namespace longshot::publish {
namespace {

constexpr int kHosts = 3;

// 17 chunks, the header included.
const RandomVersion& version() {
  static const RandomVersion made = random_version(7, {16 << 20}, 1);
  return made;
}

struct Host {
  explicit Host(const std::string& folder)
      : store(store_in(folder)), server(WeightServer::start(*store, {}).value()) {}
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server->port()); }

  std::unique_ptr<WeightStore> store;
  std::unique_ptr<WeightServer> server;
};

// All hosts fetch from `source` and from one another; each must get the right bytes. Returns the
// bytes that they received in all.
uint64_t fetch_together(const FakePeer& source) {
  const MemoryFolder folder;
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::string> urls{source.url()};
  for (int i = 0; i < kHosts; ++i) {
    hosts.push_back(std::make_unique<Host>(folder.path() + "/" + std::to_string(i)));
    urls.push_back(hosts.back()->url());
  }
  std::atomic<uint64_t> received = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kHosts; ++i) {
    threads.emplace_back([&, i] {
      std::vector<std::string> others = urls;
      others.erase(others.begin() + 1 + i);
      const auto fetched =
          fetch(version().manifest, others, *hosts[static_cast<size_t>(i)]->store,
                {.host_name = "host" + std::to_string(i)}, Deadline::after_seconds(60));
      ASSERT_TRUE(fetched.ok()) << fetched.status().to_string();
      EXPECT_TRUE(fetched->version->bytes() == version().data);
      received += fetched->bytes;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return received;
}

// A plan runs under the lock of its peer, so waiting there limits the rate of the peer as a whole.
void take_time() {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

TEST(Exchange, ASlowSourceSendsEachChunkAboutOnce) {
  FakePeer source(version(), [](int, const net::ByteRange&) {
    take_time();
    return Fault{};
  });
  const uint64_t whole = version().data.size();
  EXPECT_EQ(fetch_together(source), kHosts * whole);
  uint64_t sent = 0;
  for (const net::ByteRange& range : source.ranges()) sent += range.size();
  std::printf("the source sent %.2f versions to %d hosts\n",
              static_cast<double>(sent) / static_cast<double>(whole), kHosts);
  EXPECT_LT(sent, 2 * whole);
}

TEST(Exchange, HostsFinishWithoutASourceThatIsLostOnceAllIsSomewhere) {
  std::set<uint64_t> sent;
  uint64_t bytes = 0;
  FakePeer source(version(), [&](int, const net::ByteRange& range) {
    take_time();
    if (bytes == version().data.size()) return Fault{.status = 404};
    if (sent.insert(range.begin).second) bytes += range.size();
    return Fault{};
  });
  EXPECT_EQ(fetch_together(source), kHosts * version().data.size());
  EXPECT_EQ(bytes, version().data.size());
}

}  // namespace
}  // namespace longshot::publish

#include "publish/engine/delta_fetch.h"

#include <gtest/gtest.h>

#include "publish/engine/testing.h"
#include "publish/engine/weight_fetch.h"
#include "publish/engine/weight_server.h"

namespace longshot::publish {
namespace {

// Version `number` of a run in bf16: the words of the last one with a share of them changed.
struct Bf16Run {
  RandomVersion next(double share) {
    RandomVersion made = std::move(last);
    made.manifest.run = "run";
    ++made.manifest.version;
    if (made.data.empty()) {
      made.manifest.tensors = {{"a", model::Dtype::bf16, {3'000'000}, 0, 0, 0, {}},
                               {"b", model::Dtype::bf16, {777}, 0, 0, 0, {}}};
      made.data = lay_out(made.manifest);
      made.data += random_bytes(made.manifest.total_bytes() - made.data.size(), rng);
    }
    for (size_t i = made.manifest.header_bytes; i < made.data.size(); i += 2)
      if (rng.next_double() < share) made.data[i] ^= 1;
    set_checksums(made);
    last = made;
    return made;
  }
  CounterRng rng{7};
  RandomVersion last;
};

struct DeltaFetch : testing::Test {
  Result<Fetched> follow() {
    return fetch_newest({"http://127.0.0.1:" + std::to_string(server->port())}, *mine, {},
                        Deadline::after_seconds(20));
  }
  MemoryFolder folder;
  std::unique_ptr<WeightStore> theirs = store_in(folder.path() + "/theirs"),
                               mine = store_in(folder.path() + "/mine");
  std::unique_ptr<WeightServer> server = WeightServer::start(*theirs, {.full_every = 6}).value();
  Bf16Run run;
};

TEST_F(DeltaFetch, AChainWithAMissedVersionIsBitEqual) {
  int by_delta = 0;
  for (int64_t v = 1; v <= 21; ++v) {
    const RandomVersion version = run.next(0.02);
    ASSERT_TRUE(put(*theirs, version).ok());
    if (v == 10) continue;  // missed: version 11 has no delta to 9, which the peer has removed
    const auto fetched = follow();
    ASSERT_TRUE(fetched.ok()) << fetched.status().to_string();
    ASSERT_TRUE(fetched->version->bytes() == version.data) << v;
    const bool whole = v == 1 || v == 11 || v % 6 == 0;
    EXPECT_EQ(fetched->by_delta, !whole) << v;
    EXPECT_TRUE(whole || fetched->bytes < version.data.size() / 15) << fetched->bytes;
    by_delta += fetched->by_delta;
  }
  EXPECT_EQ(by_delta, 15);
}

TEST_F(DeltaFetch, WithManyChangesTheVersionIsFetchedWhole) {
  ASSERT_TRUE(put(*theirs, run.next(0)).ok());
  ASSERT_TRUE(follow().ok());
  const RandomVersion version = run.next(0.5);
  ASSERT_TRUE(put(*theirs, version).ok());
  const auto fetched = follow();
  ASSERT_TRUE(fetched.ok());
  EXPECT_FALSE(fetched->by_delta);
  EXPECT_TRUE(fetched->version->bytes() == version.data);
}

TEST_F(DeltaFetch, ABaseWithOtherBitsGivesAWholeFetchAndTheRightVersion) {
  ASSERT_TRUE(put(*theirs, run.next(0)).ok());
  RandomVersion other = run.last;
  other.data.back() ^= 1;
  set_checksums(other);
  ASSERT_TRUE(put(*mine, other).ok());
  const RandomVersion version = run.next(0.02);
  ASSERT_TRUE(put(*theirs, version).ok());
  const auto fetched = follow();
  ASSERT_TRUE(fetched.ok()) << fetched.status().to_string();
  EXPECT_FALSE(fetched->by_delta);
  EXPECT_TRUE(fetched->version->bytes() == version.data);
}

}  // namespace
}  // namespace longshot::publish

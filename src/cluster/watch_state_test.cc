#include "cluster/watch_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::ElementsAre;

Event put(const std::string& key, const std::string& value, int64_t revision) {
  return {{key, value, revision, 0}, false};
}
Event removal(const std::string& key, int64_t revision) {
  return {{key, "", revision, 0}, true};
}

TEST(WatchState, DropsWhatWasReportedAndOtherPrefixes) {
  EventLog log;
  WatchState state("w/", {{}, 4}, log.callback());
  state.deliver(std::vector{put("w/1", "old", 4), put("w/1", "a", 5), put("x", "no", 6)});
  EXPECT_EQ(state.next(), 6);
  state.deliver(std::vector{put("w/1", "a", 5), put("w/2", "b", 7), removal("w/1", 7)});
  EXPECT_EQ(state.next(), 8);
  state.deliver(std::vector{put("w/2", "b", 7), removal("w/1", 7)});
  EXPECT_THAT(log.texts(), ElementsAre("w/1=a", "w/2=b", "-w/1"));
}

TEST(WatchState, AListingReportsTheDifferences) {
  EventLog log;
  WatchState state("", {{{"a", "1", 2, 0}, {"b", "1", 3, 0}, {"c", "1", 4, 0}}, 4}, log.callback());
  state.deliver(std::vector{put("d", "1", 5)});
  // c is unchanged, a has changed, b and d are gone, e is new.
  const Listing now{{{"a", "2", 9, 0}, {"c", "1", 4, 0}, {"e", "1", 8, 0}}, 10};
  state.deliver(now);
  EXPECT_EQ(state.next(), 11);
  EXPECT_THAT(log.texts(), ElementsAre("d=1", "e=1", "a=2", "-b", "-d"));
  EXPECT_EQ(log.events()[3].entry.revision, 10);
  state.deliver(now);
  EXPECT_EQ(log.size(), 5u);
}

TEST(WatchState, NeedsAListingWithoutKnownRevision) {
  EventLog log;
  WatchState state("", {}, log.callback());
  EXPECT_TRUE(state.needs_listing());
  state.deliver(Listing{{{"a", "1", 2, 0}}, 3});
  EXPECT_FALSE(state.needs_listing());
  EXPECT_THAT(log.texts(), ElementsAre("a=1"));
}

}  // namespace
}  // namespace longshot::cluster

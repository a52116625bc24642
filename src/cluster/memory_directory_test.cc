#include "cluster/memory_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "cluster/testing.h"

namespace longshot::cluster {
namespace {

using testing::ElementsAre;

TEST(MemoryDirectory, LeasesEndByTheClock) {
  ManualClock clock;
  MemoryDirectory directory(clock.now());
  const int64_t lease = directory.grant(3, soon())->id;
  EXPECT_TRUE(directory.put("a", "1", lease, soon()).ok());
  clock.advance(2.9);
  EXPECT_TRUE(directory.keep_alive(lease, soon()).ok());
  clock.advance(2.9);
  EXPECT_NE(directory.get("a", soon())->revision, 0);
  clock.advance(0.1);
  EXPECT_EQ(directory.get("a", soon())->revision, 0);
  EXPECT_EQ(directory.keep_alive(lease, soon()).code(), StatusCode::not_found);
}

TEST(MemoryDirectory, SettleWaitsForTheEventsOfLostLeases) {
  ManualClock clock;
  MemoryDirectory directory(clock.now());
  EventLog log;
  const auto watch = directory.watch("", directory.list("", soon()).value(), log.callback());
  const int64_t lease = directory.grant(3, soon())->id;
  EXPECT_TRUE(directory.put("a", "1", lease, soon()).ok());
  EXPECT_TRUE(directory.put("b", "1", lease, soon()).ok());
  directory.settle();
  EXPECT_THAT(log.texts(), ElementsAre("a=1", "b=1"));
  clock.advance(3);
  directory.settle();
  EXPECT_THAT(log.texts(), ElementsAre("a=1", "b=1", "-a", "-b"));
  EXPECT_EQ(log.events()[2].entry.revision, log.events()[3].entry.revision);
}

// A second, plainer form of the rules: vectors that are searched from the beginning to the end.
class Model {
 public:
  struct ModelLease {
    double end;
    double ttl;
    bool alive = true;
  };

  std::optional<size_t> find(const std::string& key) const {
    for (size_t i = 0; i < entries.size(); ++i)
      if (entries[i].key == key) return i;
    return std::nullopt;
  }
  int64_t revision_of(const std::string& key) const {
    const auto at = find(key);
    return at ? entries[*at].revision : 0;
  }
  void erase(const std::string& key) {
    entries.erase(entries.begin() + static_cast<long>(*find(key)));
    events.push_back({Entry{.key = key, .revision = revision + 1}, true});
  }
  void end_lease(size_t id) {
    leases[id - 1].alive = false;
    std::vector<std::string> keys;
    for (const Entry& entry : entries)
      if (entry.lease == static_cast<int64_t>(id)) keys.push_back(entry.key);
    std::sort(keys.begin(), keys.end());
    for (const std::string& key : keys) erase(key);
    if (!keys.empty()) ++revision;
  }
  void advance(double seconds) {
    time += seconds;
    for (size_t id = 1; id <= leases.size(); ++id)
      if (leases[id - 1].alive && leases[id - 1].end <= time) end_lease(id);
  }
  bool alive(int64_t id) const {
    return id > 0 && id <= static_cast<int64_t>(leases.size()) &&
           leases[static_cast<size_t>(id - 1)].alive;
  }
  StatusCode commit(const std::vector<Condition>& conditions, const std::vector<Change>& changes,
                    bool& applied) {
    applied = false;
    for (const Condition& condition : conditions)
      if (revision_of(condition.key) != condition.revision) return StatusCode::ok;
    for (const Change& change : changes)
      if (change.value && change.lease != 0 && !alive(change.lease)) return StatusCode::not_found;
    applied = true;
    const size_t before = events.size();
    for (const Change& change : changes) {
      const auto at = find(change.key);
      if (!change.value) {
        if (at) erase(change.key);
        continue;
      }
      const Entry entry{change.key, *change.value, revision + 1, change.lease};
      if (at) {
        entries[*at] = entry;
      } else {
        entries.push_back(entry);
      }
      events.push_back({entry, false});
    }
    if (events.size() > before) ++revision;
    return StatusCode::ok;
  }

  double time = 0;
  int64_t revision = 1;
  std::vector<Entry> entries;
  std::vector<ModelLease> leases;
  std::vector<Event> events;
};

// A directory, its model and the operations that are applied to both.
class Pair {
 public:
  Pair() : directory_(clock_.now()) {
    watch_ = directory_.watch("", directory_.list("", soon()).value(), log_.callback());
  }

  void step() {
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
        return grant();
      case 1:
        return keep_alive();
      case 2:
        return revoke();
      case 3:
        return advance();
      default:
        return commit();
    }
  }

  void check() {
    directory_.settle();
    RC_ASSERT(log_.events() == model_.events);
    std::vector<Entry> expected = model_.entries;
    std::sort(expected.begin(), expected.end(),
              [](const Entry& a, const Entry& b) { return a.key < b.key; });
    const Listing listing = directory_.list("", soon()).value();
    RC_ASSERT(listing.entries == expected);
    RC_ASSERT(listing.revision == model_.revision);
  }

 private:
  static std::string any_key() { return std::string(1, *rc::gen::inRange('a', 'e')); }
  int64_t any_lease() {
    return *rc::gen::inRange<int64_t>(0, static_cast<int64_t>(model_.leases.size()) + 2);
  }

  void grant() {
    const double ttl = *rc::gen::inRange(1, 5);
    const auto lease = directory_.grant(ttl, soon());
    model_.leases.push_back({model_.time + ttl, ttl});
    RC_ASSERT(lease->id == static_cast<int64_t>(model_.leases.size()));
  }
  void keep_alive() {
    const int64_t id = any_lease();
    const bool alive = model_.alive(id);
    RC_ASSERT(directory_.keep_alive(id, soon()).ok() == alive);
    if (!alive) return;
    auto& lease = model_.leases[static_cast<size_t>(id - 1)];
    lease.end = model_.time + lease.ttl;
  }
  void revoke() {
    const int64_t id = any_lease();
    const bool alive = model_.alive(id);
    RC_ASSERT(directory_.revoke(id, soon()).ok() == alive);
    if (alive) model_.end_lease(static_cast<size_t>(id));
  }
  void advance() {
    const double seconds = *rc::gen::inRange(1, 8) * 0.5;
    clock_.advance(seconds);
    model_.advance(seconds);
    directory_.settle();
  }
  void commit() {
    std::vector<Condition> conditions;
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      const std::string key = any_key();
      const bool right = *rc::gen::inRange(0, 4) > 0;
      conditions.push_back({key, right ? model_.revision_of(key) : *rc::gen::inRange(0, 9)});
    }
    std::map<std::string, Change> changes;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      const std::string key = any_key();
      changes[key] = {key, std::nullopt};
      if (*rc::gen::inRange(0, 3) > 0)
        changes[key] = {key, std::to_string(*rc::gen::inRange(0, 100)), any_lease()};
    }
    std::vector<Change> list;
    for (const auto& [key, change] : changes) list.push_back(change);
    bool applied = false;
    const StatusCode code = model_.commit(conditions, list, applied);
    const auto done = directory_.commit(conditions, list, soon());
    RC_ASSERT(done.status().code() == code);
    if (!done.ok()) return;
    RC_ASSERT(done->applied == applied);
    if (applied) RC_ASSERT(done->revision == model_.revision);
  }

  ManualClock clock_;
  MemoryDirectory directory_;
  EventLog log_;
  std::unique_ptr<Watch> watch_;
  Model model_;
};

RC_GTEST_PROP(MemoryDirectory, EqualsAPlainModel, ()) {
  Pair pair;
  for (int i = *rc::gen::inRange(1, 40); i > 0; --i) pair.step();
  pair.check();
}

}  // namespace
}  // namespace longshot::cluster

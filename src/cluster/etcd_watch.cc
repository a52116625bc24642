#include "cluster/etcd_watch.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"

namespace longshot::cluster {
namespace {

constexpr double kFirstReplySeconds = 2;  // a member that does not confirm the watch is given up
constexpr double kListSeconds = 3;
constexpr double kPauseSeconds = 0.1;  // after a failure

// A stream can become silent without an error, e.g. behind a proxy or a broken link. It is
// therefore replaced regularly. Each stream starts at the first revision that was not reported, so
// that etcd sends again what was lost.
class EtcdWatch final : public Watch {
 public:
  EtcdWatch(const EtcdWatchParts& parts, WatchState state)
      : parts_(parts), state_(std::move(state)), relist_(state_.needs_listing()) {
    thread_ = std::thread([this] { work(); });
  }
  ~EtcdWatch() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void work() {
    while (!stopping_) {
      const Status status = relist_ ? report_listing() : report_stream();
      if (status.ok() || stopping_) continue;
      log::debug("watch of '{}': {}; it continues", state_.prefix(), status.message());
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::duration<double>(kPauseSeconds),
                     [this] { return stopping_.load(); });
    }
  }

  Status report_listing() {
    LS_ASSIGN_OR_RETURN(
        const Listing listing,
        parts_.directory.list(state_.prefix(), Deadline::after_seconds(kListSeconds)));
    state_.deliver(listing);
    relist_ = false;
    return ok_status();
  }

  // Returns ok if the stream was replaced because of its age.
  Status report_stream() {
    const Stopwatch age;
    std::atomic<bool> confirmed = false;
    const Status status = parts_.client.stream(
        "/v3/watch", parts_.json.watch_request(state_.prefix(), state_.next()),
        Deadline::after_seconds(parts_.stream_seconds),
        [&](const Json& object) {
          confirmed = true;
          return report(object);
        },
        [&] { return stopping_ || (!confirmed && age.seconds() > kFirstReplySeconds); });
    if (relist_ || (status.ok() && confirmed && age.seconds() >= parts_.stream_seconds))
      return ok_status();
    parts_.client.next_endpoint();
    return status.ok() ? unavailable("the stream ended") : status;
  }

  Status report(const Json& object) {
    if (!object.contains("result")) return unavailable(dump_json(object));
    const Json& result = object["result"];
    LS_ASSIGN_OR_RETURN(const std::vector<Event> events, parts_.json.read_events(result));
    state_.deliver(events);
    if (!result.contains("canceled")) return ok_status();
    // Revisions before the compaction are gone. A listing says what has changed since.
    relist_ = read_int64(result, "compact_revision") > 0;
    if (!relist_) parts_.client.forget_login();  // it may be too old to watch with
    return unavailable("etcd cancelled the watch: " + dump_json(result));
  }

  const EtcdWatchParts parts_;
  WatchState state_;
  bool relist_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace

std::unique_ptr<Watch> start_etcd_watch(const EtcdWatchParts& parts, WatchState state) {
  return std::make_unique<EtcdWatch>(parts, std::move(state));
}

}  // namespace longshot::cluster

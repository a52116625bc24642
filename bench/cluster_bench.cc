// Latencies of the cluster's directory on servers of etcd that it starts on loopback, with their
// data in memory.
//   cluster_bench [MEMBERS]: 1 member by default.

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/etcd.h"
#include "cluster/etcd_testing.h"

namespace longshot::cluster {
namespace {

constexpr int kRepetitions = 200;
constexpr int kHolders = 8;
constexpr double kTtl = 2;

Deadline soon() {
  return Deadline::after_seconds(5);
}

// Median and worst of times in seconds.
void print(const char* what, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  fmt::print("{:<44} median {:8.2f} ms, worst {:8.2f} ms of {}\n", what,
             1000 * seconds[seconds.size() / 2], 1000 * seconds.back(), seconds.size());
}

// The time since construction at which a watch reported each key. Thread-safe.
class Arrivals {
 public:
  Directory::OnEvents callback() {
    return [this](const std::vector<Event>& events) {
      std::lock_guard lock(mutex_);
      for (const Event& event : events) times_[event.entry.key] = clock_.seconds();
      arrived_.notify_all();
    };
  }
  double now() const { return clock_.seconds(); }
  double wait_for(const std::string& key) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return times_.contains(key); });
    return times_[key];
  }

 private:
  const Stopwatch clock_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, double> times_;
};

void measure_puts(Directory& directory) {
  std::vector<double> seconds;
  for (int i = 0; i < kRepetitions; ++i) {
    const Stopwatch watch;
    LS_CHECK(directory.put("put", std::to_string(i), 0, soon()).ok(), "put");
    seconds.push_back(watch.seconds());
  }
  print("put", seconds);
}

void measure_watch(Directory& directory) {
  Arrivals arrivals;
  const auto watch =
      directory.watch("seen/", directory.list("seen/", soon()).value(), arrivals.callback());
  std::vector<double> seconds;
  for (int i = 0; i < kRepetitions; ++i) {
    const std::string key = "seen/" + std::to_string(i);
    const double start = arrivals.now();
    LS_CHECK(directory.put(key, "", 0, soon()).ok(), "put");
    seconds.push_back(arrivals.wait_for(key) - start);
  }
  print("start of a put to its event at a watch", seconds);
}

void measure_silence(Directory& directory) {
  std::vector<Lease> leases;
  for (int i = 0; i < kHolders; ++i) {
    leases.push_back(directory.grant(kTtl, soon()).value());
    LS_CHECK(directory.put("held/" + std::to_string(i), "", leases.back().id, soon()).ok(), "put");
  }
  Arrivals arrivals;
  const auto watch =
      directory.watch("held/", directory.list("held/", soon()).value(), arrivals.callback());
  // The holders fall silent one after the other, so that etcd's own period does not show.
  std::vector<double> silent;
  for (const Lease& lease : leases) {
    LS_CHECK(directory.keep_alive(lease.id, soon()).ok(), "keep_alive");
    silent.push_back(arrivals.now());
    std::this_thread::sleep_for(std::chrono::milliseconds(90));
  }
  std::vector<double> seconds;
  for (int i = 0; i < kHolders; ++i)
    seconds.push_back(arrivals.wait_for("held/" + std::to_string(i)) -
                      silent[static_cast<size_t>(i)]);
  print(
      fmt::format("last renewal of a lease of {:.0f} s to its loss", leases[0].ttl_seconds).c_str(),
      seconds);
}

}  // namespace
}  // namespace longshot::cluster

int main(int argc, char** argv) {
  using namespace longshot::cluster;
  const int members = argc > 1 ? std::atoi(argv[1]) : 1;
  if (!has_etcd() || members < 1) {
    fmt::print(stderr, "usage: cluster_bench [MEMBERS]; needs {} 3.4 or later\n", kEtcd);
    return 2;
  }
  const EtcdServers servers(static_cast<size_t>(members));
  const auto directory = make_etcd_directory(servers.url("bench"));
  fmt::print("members: {}\n", members);
  measure_puts(*directory);
  measure_watch(*directory);
  measure_silence(*directory);
  return 0;
}

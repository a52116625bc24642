#pragma once
// A watch over etcd's JSON gateway that neither loses nor repeats events.

#include <memory>

#include "cluster/directory.h"
#include "cluster/etcd_client.h"
#include "cluster/etcd_json.h"
#include "cluster/watch_state.h"

namespace longshot::cluster {

// What a watch uses; all of it must outlive the watch.
struct EtcdWatchParts {
  Directory& directory;
  EtcdClient& client;
  const EtcdJson& json;
  double stream_seconds;  // the age at which a stream is replaced
};

std::unique_ptr<Watch> start_etcd_watch(const EtcdWatchParts& parts, WatchState state);

}  // namespace longshot::cluster

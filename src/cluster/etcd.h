#pragma once
// A Directory on etcd 3.4 or later (https://etcd.io), over its JSON gateway. etcd owns consensus
// and the detection of failures; this program owns neither.

#include <memory>
#include <string>

#include "cluster/cluster_url.h"
#include "cluster/directory.h"

namespace longshot::cluster {

struct EtcdOptions {
  EtcdAccess access = {};
  // A watch renews its stream after this time, which finds events behind a broken connection.
  double stream_seconds = 10;
};

// Keys are below /longshot/<run>/ in etcd. Does not connect: an etcd that cannot be reached is
// reported by the calls.
std::unique_ptr<Directory> make_etcd_directory(const ClusterUrl& url,
                                               const EtcdOptions& options = {});

// How one member of etcd serves a process.
struct EtcdHealth {
  std::string version;     // "3.4.23"
  double put_seconds = 0;  // for one change, which a majority has written to disk
};
// Reads the version, and writes and removes a key of the run. `url` names the member. Errors: those
// of Directory.
Result<EtcdHealth> try_etcd(const ClusterUrl& url, const EtcdOptions& options, Deadline deadline);

}  // namespace longshot::cluster

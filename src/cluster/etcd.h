#pragma once
// A Directory on etcd 3.4 or later (https://etcd.io), over its JSON gateway. etcd owns consensus
// and the detection of failures; this program owns neither.

#include <map>
#include <memory>
#include <string>

#include "cluster/cluster_url.h"
#include "cluster/directory.h"

namespace longshot::cluster {

struct EtcdOptions {
  // Added to each request, e.g. {"Authorization", token} for an etcd with users.
  std::map<std::string, std::string> headers = {};
  // A watch renews its stream after this time, which finds events behind a broken connection.
  double stream_seconds = 10;
};

// Keys are below /longshot/<run>/ in etcd. Does not connect: an etcd that cannot be reached is
// reported by the calls. The connections are not encrypted.
std::unique_ptr<Directory> make_etcd_directory(const ClusterUrl& url, EtcdOptions options = {});

}  // namespace longshot::cluster

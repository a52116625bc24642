#pragma once
// The address of a run, etcd://host:port[,host:port...]/run-name or etcds://... for an etcd with
// TLS, and what its etcd demands of clients.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::cluster {

struct ClusterUrl {
  std::vector<std::string> endpoints;  // "host:port", any number of members of one etcd cluster
  std::string run;                     // letters, digits, '.', '_' and '-'
  bool tls = false;                    // etcds://
};

struct EtcdAccess {
  // With `tls`: a folder with ca.crt, the authority of etcd's certificates, and, if etcd wants them
  // of its clients, tls.crt and tls.key. Empty: the system's authorities.
  std::string tls_dir = {};
  std::string user = {}, password = {};  // empty: etcd has no users
};

// invalid_argument names the part that is wrong.
Result<ClusterUrl> parse_cluster_url(const std::string& text);

}  // namespace longshot::cluster

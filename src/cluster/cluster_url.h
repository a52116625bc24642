#pragma once
// The address of a run: etcd://host:port[,host:port...]/run-name.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::cluster {

struct ClusterUrl {
  std::vector<std::string> endpoints;  // "host:port", any number of members of one etcd cluster
  std::string run;                     // letters, digits, '.', '_' and '-'
};

// invalid_argument names the part that is wrong.
Result<ClusterUrl> parse_cluster_url(const std::string& text);

}  // namespace longshot::cluster

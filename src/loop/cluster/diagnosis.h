#pragma once
// Whether a rollout worker could work on this machine for a run, and what to do if not.

#include <string>
#include <vector>

#include "base/finding.h"
#include "base/status.h"
#include "config/sections/cluster.h"

namespace longshot::loop {

struct DiagnosisOptions {
  config::ClusterAccess access;
  std::string weights_dir;  // of the worker; empty: in /dev/shm
  std::string device = "cpu";
};

// Checks etcd, the coordinator and its ports, the certificate, the clocks, the versions of the
// messages, the arithmetic, the room for the weights, and addresses that other hosts cannot reach.
// What cannot be checked because of an earlier finding is left out. Takes a few seconds for each
// thing that does not answer. Changes nothing except for a key of etcd, which it removes. Errors:
// the url cannot be read, or the token.
Result<std::vector<Finding>> diagnose_cluster(const DiagnosisOptions& options);

}  // namespace longshot::loop

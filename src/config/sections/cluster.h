#pragma once
// Section [cluster]: a run whose rollout workers are other processes.

#include <string>

#include "base/settings/settings.h"
#include "config/sections/replay.h"
#include "config/sections/rollout.h"

namespace longshot::config {

// How a process reaches a run on many machines.
struct ClusterAccess {
  std::string url;              // etcd://HOST:PORT/NAME; empty: one process
  std::string token_file;       // the secret of the run; empty: none
  std::string tls_dir;          // see net::TlsIdentity; empty: connections are not encrypted
  std::string etcd_tls_dir;     // see cluster::EtcdAccess; empty: tls_dir
  std::string etcd_login_file;  // USER:PASSWORD; empty: etcd has no users
};
void bind_access(Settings& settings, ClusterAccess& access);

struct ClusterOptions : ClusterAccess {
  std::string listen = "127.0.0.1:0", weights_listen = "127.0.0.1:0";
  std::string advertise;
  std::string weights_dir;
  bool exact = true;
  bool gang_in_clear = false;  // several trainers on several hosts may go without TLS
  double silence_seconds = 3;
  int staleness = 0;
  bool on() const { return !url.empty(); }
  // Several iterations ahead, with new weights between two segments of a sample.
  bool runs_ahead() const { return on() && staleness > 1; }
};

void bind(Settings& settings, ClusterOptions& options);

// Error: options of the rollout or the replay buffer do not fit.
Status validate(const ClusterOptions& options, const RolloutOptions& rollout,
                const ReplayOptions& replay);

}  // namespace longshot::config

#include "config/sections/cluster.h"

#include <fmt/format.h>

#include "base/settings/checks.h"

namespace longshot::config {

void bind_access(Settings& s, ClusterAccess& o) {
  s.add("cluster.url", &o.url,
        "etcd://HOST:PORT[,HOST:PORT...]/NAME, or etcds:// for an etcd with TLS: rollout workers "
        "are other processes, which find this run there; "
        "empty = all in one process; docs/cluster.md");
  s.add("cluster.token_file", &o.token_file,
        "file with a secret that every process of the run must have; empty = none");
  s.add("cluster.tls_dir", &o.tls_dir,
        "folder with ca.crt, tls.crt and tls.key of this host, as `longshot certificates` makes "
        "it: the coordinator and its workers talk over TLS, and both ends need a certificate of "
        "the authority; empty = not encrypted");
  s.add("cluster.etcd_tls_dir", &o.etcd_tls_dir,
        "folder with ca.crt and, if etcd wants them of its clients, tls.crt and tls.key for an "
        "etcd with TLS (etcds://); empty = cluster.tls_dir, or the system's authorities");
  s.add("cluster.etcd_login_file", &o.etcd_login_file,
        "file with USER:PASSWORD for an etcd with users; empty = none");
}

void bind(Settings& s, ClusterOptions& o) {
  bind_access(s, o);
  s.add("cluster.listen", &o.listen,
        "HOST:PORT at which workers connect; port 0 = any free one; 0.0.0.0 = all interfaces");
  s.add("cluster.weights_listen", &o.weights_listen, "HOST:PORT that serves the weights");
  s.add("cluster.advertise", &o.advertise,
        "host name or address by which workers reach this machine; empty = the host of "
        "cluster.listen, or this machine's name if that is 0.0.0.0");
  s.add("cluster.weights_dir", &o.weights_dir,
        "folder for the two newest versions of the weights; empty = in /dev/shm");
  s.add("cluster.exact", &o.exact,
        "refuse workers whose arithmetic would give other samples than this machine's");
  s.add("cluster.gang_in_clear", &o.gang_in_clear,
        "with cluster.tls_dir: true = several trainers on several hosts exchange gradients and "
        "samples without encryption, over a network that you trust or that encrypts by itself; "
        "false = they are refused; docs/cluster.md");
  s.add("cluster.silence_seconds", &o.silence_seconds,
        "a worker that is silent for this long has its samples given to others as well", above(0));
  s.add("cluster.staleness", &o.staleness,
        "1 = the samples of the next iteration are generated while the trainer works, with weights "
        "that are one version older; 2 or more = those of so many iterations, and no token that is "
        "trained on is older than so many versions; 0 = generation and training take turns; "
        "docs/cluster.md",
        at_least(0));
}

Status validate(const ClusterOptions& o, const RolloutOptions& rollout,
                const ReplayOptions& replay) {
  if (!o.on()) return ok_status();
  if (o.staleness == 1 && replay.staleness == 0) {
    return invalid_argument(
        "replay.staleness = 0 would drop all samples of cluster.staleness = 1, which are one "
        "version old; set it to 1 or more, or to -1");
  }
  if (o.runs_ahead() && replay.staleness >= 0 && replay.staleness != o.staleness) {
    return invalid_argument(fmt::format(
        "cluster.staleness = {} is the oldest version that is trained on, so replay.staleness = {} "
        "says something else; leave it out",
        o.staleness, replay.staleness));
  }
  if (rollout.engine.token_budget > 0) {
    return invalid_argument(
        "rollout.token_budget needs one process, because where it cuts a sample would depend on "
        "the workers; with cluster.url use rollout.segment_tokens");
  }
  if (rollout.workers > 1) {
    return invalid_argument(
        "rollout.workers are engines within this process; with cluster.url each `longshot worker` "
        "is one engine, so leave it at 1");
  }
  return ok_status();
}

}  // namespace longshot::config

#include "config/sections/hybrid.h"

namespace longshot::config {

void bind(Settings& s, HybridOptions& o) {
  s.add("hybrid.free_cache_engine", &o.free_cache_engine,
        "free the rollout's weights and KV cache while the model is trained; docs/hybrid.md");
  s.add("hybrid.optimizer_offload", &o.optimizer_offload,
        "keep the optimizer's moments in a file while samples are generated");
  s.add("hybrid.param_offload", &o.param_offload,
        "keep the trainer's weights in a file while samples are generated");
  s.add("hybrid.offload_dir", &o.folder,
        "folder of these files, on a disk and not in memory; empty = the run folder");
}

Status validate(const HybridOptions& o, const MachineOptions& machine,
                const ClusterOptions& cluster) {
  if (o.on() && cluster.on() && cluster.staleness > 0) {
    return invalid_argument(
        "[hybrid] is for a run that generates and trains in turns; with cluster.staleness above 0 "
        "it does both at the same time, so leave the keys of [hybrid] out");
  }
  if (o.offloads() && !machine.is_cpu()) {
    return invalid_argument(
        "hybrid.optimizer_offload and hybrid.param_offload need trainer.device=cpu; "
        "hybrid.free_cache_engine works on every device");
  }
  return ok_status();
}

}  // namespace longshot::config

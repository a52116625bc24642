#include "config/sections/replay.h"

#include "base/settings/checks.h"

namespace longshot::config {

void bind(Settings& s, ReplayOptions& o) {
  s.add(
      "replay.max_groups", &o.max_groups,
      "groups in the buffer, unfinished and complete ones; prompts are drawn until it is full. "
      "Above data.train_batch_size, complete groups can wait; 0 = data.train_batch_size, twice as "
      "many with rollout.token_budget (docs/long-tail.md), and more with cluster.staleness above "
      "1 (docs/cluster.md)",
      at_least(0));
  s.add("replay.selector", &o.selector,
        "which complete groups are trained on first, where some must wait: the oldest, "
        "those of the newest policy version, any, or those that become stale first");
  s.add("replay.staleness", &o.staleness,
        "drop groups with a trained token that is older than this many policy versions; -1 = never",
        at_least(int64_t{-1}));
  s.add("replay.ratio", &o.ratio,
        "share of a batch that was trained on before, where there are such groups; those of the "
        "last iterations come first",
        within_but_not_at(0, 1));
  s.add("replay.max_reuse", &o.max_reuse, "how often a group may be trained on again", at_least(1));
}

}  // namespace longshot::config

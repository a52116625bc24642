#pragma once
// Section [replay]: the groups that wait for training.

#include <cstdint>

#include "base/settings/settings.h"
#include "replay/selector.h"

namespace longshot::config {

struct ReplayOptions {
  int max_groups = 0;
  replay::SelectorKind selector = replay::SelectorKind::fifo;
  int64_t staleness = -1;
  double ratio = 0;
  int max_reuse = 1;
};

void bind(Settings& settings, ReplayOptions& options);

}  // namespace longshot::config

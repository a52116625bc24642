#pragma once
// Checks what the table of keys cannot: required keys and combinations of sections. Torch-free.

#include "base/status.h"
#include "config/config.h"

namespace longshot::config {

// Errors name the keys. Logs a warning for keys without an effect (unused_keys.h).
Status validate(const TrainConfig& config);
Status validate(const OfflineConfig& config);
Status validate(const DpoConfig& config);
Status validate(const SftConfig& config);
inline Status validate(const RmConfig& config) {
  return validate(config.offline);
}

}  // namespace longshot::config

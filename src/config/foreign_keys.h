#pragma once
// Configuration keys of verl and TRL that have another name, or no counterpart, here.

#include "base/settings/settings.h"

namespace longshot::config {

// Adds an explanation of each such name to the errors about unknown keys. Names of keys that are
// not bound to `settings` are left out.
void explain_foreign_keys(Settings& settings);

}  // namespace longshot::config

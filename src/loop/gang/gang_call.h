#pragma once
// How process 0 of a gang tells the others what to do next. Both must be called by all processes in
// the same order as the other calls of the gang.

#include "base/json.h"
#include "base/status.h"
#include "train/shard/gang.h"

namespace longshot::loop {

// For process 0. Errors are those of the gang.
Status tell(train::Gang& gang, const Json& call);
// For the others. Waits for the next call. Errors: those of the gang; corrupt.
Result<Json> hear(train::Gang& gang);

}  // namespace longshot::loop

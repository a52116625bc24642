#pragma once
// Messages <-> their protobuf form. Only sources of wire/ include this header: protobuf and the
// headers of torch must not meet in one source.

#include "base/status.h"
#include "wire/messages.h"
#include "wire/rollout.pb.h"

namespace longshot::wire {

pb::ToWorker to_proto(const ToWorker& message);
pb::FromWorker to_proto(const FromWorker& message);
// Error: the message is of a kind or form that this version does not know.
Result<ToWorker> from_proto(const pb::ToWorker& message);
Result<FromWorker> from_proto(const pb::FromWorker& message);

}  // namespace longshot::wire

#pragma once
// A sequence of checksummed records as bytes. Record: u32 length, u64 XXH3 of the payload, payload
// (MessagePack), little-endian.

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::replay {

std::string record_bytes(const Json& record);

// Parses the records in `bytes`, which must end at a record boundary. Errors are `corrupt` and
// begin with `where` and the byte offset.
Result<std::vector<Json>> parse_records(std::string_view bytes, const std::string& where);

}  // namespace longshot::replay

#pragma once
// A checksum that costs little for a file of any size.

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "base/status.h"

namespace longshot {

// XXH3-64 of the content if the file has at most 64 KiB * `samples` bytes; of larger files, of the
// size and of `samples` evenly spaced blocks of 64 KiB, the first and the last block included.
// samples >= 2. Thread-safe. Errors name the path.
Result<uint64_t> sampled_checksum(const std::filesystem::path& path, size_t samples);

}  // namespace longshot

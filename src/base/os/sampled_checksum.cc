#include "base/os/sampled_checksum.h"

#include <fmt/format.h>

#include <string>

#include "base/os/fs.h"

namespace longshot {

Result<uint64_t> sampled_checksum(const std::filesystem::path& path, size_t samples) {
  constexpr size_t kBlock = size_t{1} << 16;
  LS_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::open(path));
  const bool whole = file.size() <= kBlock * samples;
  std::string bytes(whole ? file.size() : kBlock, '\0');
  if (whole) {
    LS_RETURN_IF_ERROR(file.read(0, bytes));
    return checksum(bytes);
  }
  std::string sums = std::to_string(file.size());
  for (size_t i = 0; i < samples; ++i) {
    LS_RETURN_IF_ERROR(file.read((file.size() - kBlock) / (samples - 1) * i, bytes));
    sums += fmt::format(" {:x}", checksum(bytes));
  }
  return checksum(sums);
}

}  // namespace longshot

#include "base/os/sampled_checksum.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/os/fs.h"

namespace longshot {

Result<uint64_t> sampled_checksum(const std::filesystem::path& path, size_t samples) {
  constexpr size_t kBlock = size_t{1} << 16;
  LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::string_view bytes = file.bytes();
  if (bytes.size() <= kBlock * samples) return checksum(bytes);
  std::string sums = std::to_string(bytes.size());
  for (size_t i = 0; i < samples; ++i) {
    const size_t begin = (bytes.size() - kBlock) / (samples - 1) * i;
    sums += fmt::format(" {:x}", checksum(bytes.substr(begin, kBlock)));
  }
  return checksum(sums);
}

}  // namespace longshot

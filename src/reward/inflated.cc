#include "reward/inflated.h"

#include <zlib.h>

namespace longshot::reward {
namespace {

constexpr size_t kMaxBytes = 256 << 20;

}  // namespace

std::optional<std::string> inflated(std::string_view packed) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string bytes;
  int state = Z_OK;
  while (state == Z_OK && bytes.size() < kMaxBytes) {
    const size_t before = bytes.size();
    bytes.resize(before + (1 << 16));
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + before);
    stream.avail_out = 1 << 16;
    state = inflate(&stream, Z_NO_FLUSH);
    bytes.resize(bytes.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return state == Z_STREAM_END ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace longshot::reward

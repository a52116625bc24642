#pragma once
// For tests: writes gzip data.

#include <zlib.h>

#include <string>

#include "base/check.h"

namespace longshot::datasets {

// One member.
inline std::string gzipped(std::string text) {
  z_stream stream{};
  LS_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK,
           "zlib cannot start");
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  LS_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "the room is too small");
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace longshot::datasets

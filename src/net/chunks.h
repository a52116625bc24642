#pragma once
// A body that is sent in chunks of announced sizes (RFC 9112, section 7.1), as it arrives.

#include <cstdint>
#include <string>

#include "net/byte_buffer.h"

namespace longshot::net {

class Chunks {
 public:
  enum class State { more, complete, wrong };

  // Moves what is usable from the begin of `bytes` to the end of `body`. After `complete`, `bytes`
  // is what follows the body. Trailers are not supported, nor size lines above 1 KiB.
  State take(std::string& bytes, ByteBuffer& body);

 private:
  // Of the line at the begin of the bytes; false if it is not whole or wrong.
  bool take_size(const std::string& bytes, size_t& at);

  uint64_t left_ = 0;   // bytes of the present chunk
  bool begun_ = false;  // a chunk has been read, so that its line end comes first
  bool last_ = false;
  bool wrong_ = false;
};

}  // namespace longshot::net

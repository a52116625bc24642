#pragma once
// Decodes a body that is sent in chunks of announced sizes (RFC 9112, section 7.1) while it
// arrives.

#include <cstdint>
#include <string>

#include "net/byte_buffer.h"

namespace longshot::net {

class Chunks {
 public:
  enum class State { more, complete, wrong };

  // Moves the decoded content from the beginning of `bytes` to the end of `body`. After `complete`,
  // `bytes` contains the data that follows the body. Trailers and size lines above 1 KiB are not
  // supported.
  State take(std::string& bytes, ByteBuffer& body);

 private:
  // Parses the size line at `at`; false if the line is incomplete or malformed.
  bool take_size(const std::string& bytes, size_t& at);

  uint64_t left_ = 0;   // remaining bytes of the current chunk
  bool begun_ = false;  // a chunk has been read, so its line end comes before the next size
  bool last_ = false;
  bool wrong_ = false;
};

}  // namespace longshot::net

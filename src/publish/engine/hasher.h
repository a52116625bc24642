#pragma once
// XXH3-64 of bytes that arrive piece by piece; the same value as longshot::checksum() of the whole.

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace longshot::publish {

// Movable only. Not thread-safe.
class Hasher {
 public:
  Hasher() : state_(XXH3_createState(), &XXH3_freeState) { reset(); }

  void reset() { XXH3_64bits_reset(state_.get()); }
  void add(std::string_view bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace longshot::publish

#include "loop/gang/gang_call.h"

#include <cstdint>
#include <vector>

namespace longshot::loop {
namespace {

constexpr int kTeller = 0;
constexpr uint64_t kMostBytes = uint64_t{1} << 36;

}  // namespace

// CBOR keeps the bits of numbers and takes texts of any bytes.
Status tell(train::Gang& gang, const Json& call) {
  std::vector<uint8_t> bytes = Json::to_cbor(call);
  uint64_t size = bytes.size();
  LS_RETURN_IF_ERROR(
      gang.broadcast(std::as_writable_bytes(std::span(&size, 1)), kTeller, "the next call"));
  return gang.broadcast(std::as_writable_bytes(std::span(bytes)), kTeller, "the next call");
}

Result<Json> hear(train::Gang& gang) {
  uint64_t size = 0;
  LS_RETURN_IF_ERROR(
      gang.broadcast(std::as_writable_bytes(std::span(&size, 1)), kTeller, "the next call"));
  if (size > kMostBytes) return corrupt("trainer 0 sent a call of an impossible size");
  std::vector<uint8_t> bytes(size);
  LS_RETURN_IF_ERROR(
      gang.broadcast(std::as_writable_bytes(std::span(bytes)), kTeller, "the next call"));
  Json call = Json::from_cbor(bytes, true, false);
  if (call.is_discarded()) return corrupt("trainer 0 sent a call that is not CBOR");
  return call;
}

}  // namespace longshot::loop

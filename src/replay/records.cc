#include "replay/records.h"

#include <fmt/format.h>

#include <cstring>

#include "base/os/fs.h"

namespace longshot::replay {
namespace {

constexpr size_t kHeader = sizeof(uint32_t) + sizeof(uint64_t);

template <typename T>
T read_raw(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void append_raw(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string record_bytes(const Json& record) {
  const std::vector<uint8_t> packed = Json::to_msgpack(record);
  const std::string_view payload(reinterpret_cast<const char*>(packed.data()), packed.size());
  std::string out;
  out.reserve(kHeader + payload.size());
  append_raw(out, static_cast<uint32_t>(payload.size()));
  append_raw(out, checksum(payload));
  out.append(payload);
  return out;
}

Result<std::vector<Json>> parse_records(std::string_view bytes, const std::string& where) {
  std::vector<Json> records;
  size_t at = 0;
  while (at < bytes.size()) {
    const std::string place = fmt::format("{} at byte {}", where, at);
    if (bytes.size() - at < kHeader) return corrupt(place + ": the record header is cut off");
    const size_t length = read_raw<uint32_t>(bytes.data() + at);
    const auto sum = read_raw<uint64_t>(bytes.data() + at + sizeof(uint32_t));
    at += kHeader;
    if (bytes.size() - at < length) return corrupt(place + ": the record is cut off");
    const std::string_view payload = bytes.substr(at, length);
    if (checksum(payload) != sum) return corrupt(place + ": the record's checksum does not match");
    Json record = Json::from_msgpack(payload.begin(), payload.end(), true, false);
    if (record.is_discarded()) return corrupt(place + ": the record is not MessagePack");
    records.push_back(std::move(record));
    at += length;
  }
  return records;
}

}  // namespace longshot::replay

#pragma once
// An append-only file of checksummed records. A position in it is a promise: after sync(),
// everything before offset() survives a crash, and opening at that offset later cuts off whatever
// was appended after it. Record: u32 length, u64 XXH3 of the payload, payload (MessagePack),
// little-endian. Not thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::replay {

class Journal {
 public:
  Journal() = default;
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Opens `path`, creating it if absent, and cuts it to `offset` bytes. The records before `offset`
  // are returned in `records`. A damaged or shorter file is `corrupt`, and is left as it is.
  Status open(const std::string& path, int64_t offset, std::vector<Json>* records);
  Status append(const Json& record);
  Status sync();
  void close();

  bool is_open() const { return fd_ >= 0; }
  int64_t offset() const { return offset_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_ = -1;
  int64_t offset_ = 0;
};

// The records in `bytes`, which must end at a record border.
Result<std::vector<Json>> parse_journal(std::string_view bytes, const std::string& where);

}  // namespace longshot::replay

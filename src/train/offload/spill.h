#pragma once
// Memory that is written to a file and freed while it is not needed, and read back before it is.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::train {

// Not thread-safe. The file has no name, so nothing is left behind when the process ends.
class Spill {
 public:
  // `bytes` zeros, at an address that stays. The folder is created, and the file gets all its room
  // at once, so that later no disk is found to be full. Errors name the folder.
  static Result<std::unique_ptr<Spill>> create(const std::string& folder, int64_t bytes);
  ~Spill();
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  // Must not be touched while the content is out.
  std::byte* data() { return data_; }
  int64_t bytes() const { return bytes_; }
  bool is_out() const { return out_; }

  // Writes the content and frees the memory; does nothing if it is out. After an error the content
  // is still in memory.
  Status out();
  // Reads the content back and verifies its checksums; does nothing if it is in memory. Errors:
  // io_error, corrupt. The content is then lost, and is_out() remains true.
  Status in();

 private:
  Spill(std::string folder, int file, std::byte* data, int64_t bytes)
      : folder_(std::move(folder)), file_(file), data_(data), bytes_(bytes) {}

  const std::string folder_;
  const int file_;
  std::byte* const data_;
  const int64_t bytes_;
  std::vector<uint64_t> checksums_;  // of the blocks that were written
  bool out_ = false;
};

}  // namespace longshot::train

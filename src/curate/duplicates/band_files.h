#pragma once
// The keys of all rows by band, in files: one band at a time is in memory.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/status.h"

namespace longshot::curate {

// Movable only. Not thread-safe, except that bucket_order() may run beside const calls.
class BandFiles {
 public:
  struct Keyed {
    uint64_t key;
    uint32_t item;
    bool operator<(const Keyed& other) const {
      return key != other.key ? key < other.key : item < other.item;
    }
  };

  // Makes the folder anew; it is removed by the destructor. Items are numbered as they are added.
  static Result<BandFiles> create(const std::filesystem::path& folder, int bands);
  BandFiles(BandFiles&&) = default;
  BandFiles& operator=(BandFiles&&) = default;
  ~BandFiles();

  // keys: [count, bands], the keys of `count` further items.
  Status append(const std::vector<uint64_t>& keys, size_t count);
  Status finish();
  // The items by ascending key of the band. Memory: 24 bytes an item.
  Result<std::vector<Keyed>> bucket_order(int band) const;

 private:
  BandFiles() = default;
  std::filesystem::path path(int band) const;
  std::filesystem::path folder_;
  std::vector<std::ofstream> files_;
  std::vector<uint64_t> column_;
  size_t items_ = 0;
};

}  // namespace longshot::curate

#pragma once
// The versions of a run's weights that a host holds: one copy, shared by all processes of the host.
//
// A version is a folder FOLDER/EPOCH-VERSION/ with model.safetensors, its small files and
// manifest.json, so it is also a model directory. It exists once its manifest has been renamed into
// place, which happens after all bytes are complete. A folder without a manifest is what a crash
// left behind and is removed. The two newest versions are kept. A version that is removed stays
// valid for those that hold it, because its mapping keeps the memory. The next version takes the
// memory over if nobody holds it.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/clock.h"
#include "base/os/fs.h"
#include "base/status.h"
#include "publish/engine/growing_version.h"
#include "publish/engine/manifest.h"

namespace longshot::publish {

struct StoreOptions {
  std::string run;  // see check_name()
  // Empty: /dev/shm/longshot-UID/RUN, which is memory.
  std::filesystem::path folder = {};
  // Where a version is written if `folder` has no room for it. Empty: that is an error.
  std::filesystem::path fallback = {};
};

// A complete version, mapped into memory. Immutable and thread-safe.
class HeldVersion {
 public:
  static Result<std::shared_ptr<const HeldVersion>> open(const std::filesystem::path& folder);

  const Manifest& manifest() const { return manifest_; }
  const std::string& manifest_text() const { return manifest_text_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::string_view bytes() const { return data_.bytes(); }  // the whole safetensors file
  // The tensor's bytes in the mapping.
  std::string_view tensor(const ManifestTensor& tensor) const;
  const ManifestTensor* find(const std::string& name) const;  // or null
  // The content of a small file. Error: not_found.
  Result<std::string_view> file(const std::string& name) const;

 private:
  HeldVersion(std::filesystem::path folder, MappedFile data)
      : folder_(std::move(folder)), data_(std::move(data)) {}
  Status read_files();

  std::filesystem::path folder_;
  MappedFile data_;
  std::string manifest_text_;
  Manifest manifest_;
  std::map<std::string, std::string> files_;
};
using Held = std::shared_ptr<const HeldVersion>;

class WeightStore;

// A version being written. Whoever has a writer is the only one on the host. Unless commit()
// succeeds, the destructor removes the version. Movable only. The store must outlive it.
class VersionWriter {
 public:
  VersionWriter(VersionWriter&& other) noexcept;
  VersionWriter& operator=(VersionWriter&& other) = delete;
  ~VersionWriter();

  // Reserves room for `bytes` bytes, of which every one must be written. Must be called once.
  // Error: exhausted if there is no room, naming the folder and the bytes.
  Status reserve(VersionId id, uint64_t bytes);
  // Writes a part of the safetensors file. Thread-safe for parts that do not overlap.
  Status write_at(uint64_t offset, std::string_view bytes);
  Status add_file(const std::string& name, std::string_view content);
  // Makes the version visible as growing() in the store of this process until this writer ends. The
  // caller add()s chunks as they are verified.
  Result<std::shared_ptr<GrowingVersion>> show(const Manifest& manifest);
  // Makes the version visible to all processes and removes versions that are too old.
  Result<Held> commit(const Manifest& manifest);

 private:
  friend class WeightStore;
  VersionWriter(WeightStore& store, int lock) : store_(&store), lock_(lock) {}
  Status reserve_with_fallback(VersionId id, uint64_t bytes);
  Status reserve_in(const std::filesystem::path& root, VersionId id, uint64_t bytes);

  WeightStore* store_;
  int lock_ = -1, data_ = -1;  // file descriptors
  std::filesystem::path folder_;
  uint64_t reserved_ = 0;  // bytes
  std::shared_ptr<GrowingVersion> growing_;
};

// Thread-safe.
class WeightStore {
 public:
  // Creates the folder if it does not exist, and removes what a crash left behind. A version whose
  // files are damaged is removed as well.
  static Result<std::unique_ptr<WeightStore>> open(StoreOptions options);

  ~WeightStore();
  WeightStore(const WeightStore&) = delete;
  WeightStore& operator=(const WeightStore&) = delete;

  const std::string& run() const { return options_.run; }
  const std::filesystem::path& folder() const { return options_.folder; }

  // The versions that are complete now, the oldest first. Also those that other processes wrote.
  std::vector<Held> held();
  Held latest();               // null if there is none
  Held find(VersionId id);     // or null
  Held find(int64_t version);  // of the highest epoch, or null
  // The version that this process is fetching; null if there is none.
  std::shared_ptr<const GrowingVersion> growing();

  // Begins a version, which no other process can do at the same time; nothing if another writer
  // exists.
  Result<std::optional<VersionWriter>> try_write();
  // Waits for the other writer. Error: timeout, cancelled by stop_requested().
  Result<VersionWriter> write(Deadline deadline);
  // Removes all versions unless another store, of this process or another one, is open in the
  // folder. For a process that ends.
  void leave(Deadline deadline);
  // Removes all versions. For a run that begins anew under the same name and with the same epoch,
  // whose versions would otherwise be older than those of the past run. Errors: those of write().
  Status clear(Deadline deadline);

 private:
  friend class VersionWriter;
  explicit WeightStore(StoreOptions options) : options_(std::move(options)) {}
  Status enter();
  std::vector<std::filesystem::path> roots() const;
  Held open_cached(const std::filesystem::path& folder);
  void remove_unfinished();
  void remove_damaged();
  // `kept` is not removed either, however old it is. The data of a version that is removed move to
  // `spare` unless it is empty.
  void keep_newest(size_t count, const std::filesystem::path& kept = {},
                   const std::filesystem::path& spare = {});

  const StoreOptions options_;
  int users_ = -1;  // a descriptor with a shared lock: this store is in use
  std::mutex mutex_;
  struct Cached {
    uint64_t mark = 0;  // of the manifest
    std::weak_ptr<const HeldVersion> held;
  };
  std::map<std::filesystem::path, Cached> cache_;  // by folder
  std::weak_ptr<const GrowingVersion> growing_;
};

// Where a store is if no folder is given.
std::filesystem::path default_store_folder(const std::string& run);

}  // namespace longshot::publish

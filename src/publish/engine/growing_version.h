#pragma once
// A version that this process is fetching. Its chunks can be served to other hosts as soon as they
// are verified, so that all hosts together fetch each chunk about once from the first one that has
// the version.

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/fs.h"
#include "base/status.h"
#include "net/bulk/byte_range.h"
#include "publish/engine/manifest.h"

namespace longshot::publish {

// The chunks of a version that a server has.
struct Pieces {
  bool complete = false;          // it has all of them, and the small files
  std::vector<bool> chunks = {};  // [chunks_of().size()]; empty if `complete`

  bool have(size_t first, size_t end) const;  // all chunks in [first, end)
};
std::string to_json(const Pieces& pieces);
// Errors: corrupt, also for a list of chunks that is not `count` long. They begin with `where`.
Result<Pieces> parse_pieces(std::string_view text, size_t count, const std::string& where);

// Thread-safe.
class GrowingVersion {
 public:
  // `data` is the safetensors file with all its bytes reserved.
  static Result<std::shared_ptr<GrowingVersion>> open(const Manifest& manifest,
                                                      const std::filesystem::path& data);

  VersionId id() const { return id_of(manifest_); }
  std::string_view bytes() const { return data_.bytes(); }  // those of add()ed chunks are valid
  // The chunk has been written and verified.
  void add(size_t chunk) { done_[chunk].store(true, std::memory_order_release); }
  bool has(const net::ByteRange& range) const;
  Pieces pieces() const;

 private:
  GrowingVersion(const Manifest& manifest, MappedFile data)
      : manifest_(manifest),
        data_(std::move(data)),
        chunks_(chunks_of(manifest_)),
        done_(chunks_.size()) {}

  const Manifest manifest_;
  const MappedFile data_;
  const std::vector<Chunk> chunks_;
  std::vector<std::atomic<bool>> done_;  // [chunk]
};

}  // namespace longshot::publish

#pragma once
// Random manifests and versions for tests.

#include <cstring>
#include <set>
#include <string>

#include "base/os/fs.h"
#include "base/rng.h"
#include "model/format/testing.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

inline std::string random_bytes(size_t count, CounterRng& rng) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; i += 8) {
    const uint64_t word = rng.next_u64();
    std::memcpy(bytes.data() + i, &word, std::min<size_t>(8, count - i));
  }
  return bytes;
}

// A fresh folder in memory, where syncing takes no time; removed at the end.
class MemoryFolder {
 public:
  MemoryFolder() {
    std::string pattern = "/dev/shm/longshot_test_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A complete version in plain memory: the data, with checksums that fit.
struct RandomVersion {
  Manifest manifest;
  std::string data;  // the safetensors file
  std::map<std::string, std::string> files;
};

inline void set_checksums(RandomVersion& version) {
  Manifest& manifest = version.manifest;
  const std::string_view data = version.data;
  manifest.header_checksum = checksum(data.substr(0, manifest.header_bytes));
  for (ManifestTensor& tensor : manifest.tensors) {
    const auto bytes = data.substr(manifest.header_bytes + tensor.offset, tensor.bytes);
    tensor.checksum = checksum(bytes);
    for (size_t i = 0; i < tensor.chunks.size(); ++i)
      tensor.chunks[i] = checksum(bytes.substr(i * kChunkBytes, kChunkBytes));
  }
}

// `sizes` are the numbers of f32 values of the tensors.
inline RandomVersion random_version(int64_t version, const std::vector<int64_t>& sizes,
                                    uint64_t seed, const std::string& run = "run") {
  CounterRng rng(seed);
  RandomVersion made;
  made.manifest.run = run;
  made.manifest.version = version;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto dtype = i % 3 == 2 ? model::Dtype::bf16 : model::Dtype::f32;
    made.manifest.tensors.push_back({"layer." + std::to_string(i), dtype, {sizes[i]}, 0, 0, 0, {}});
  }
  made.data = lay_out(made.manifest);
  made.data += random_bytes(made.manifest.total_bytes() - made.data.size(), rng);
  for (const char* name : {"config.json", "tokenizer.json"}) {
    made.files[name] = random_bytes(rng.next_below(1000), rng);
    made.manifest.files.push_back({name, made.files[name].size(), checksum(made.files[name])});
  }
  set_checksums(made);
  return made;
}

// Writes the version into the store; the caller expects it to succeed.
inline Result<Held> put(WeightStore& store, const RandomVersion& version) {
  LS_ASSIGN_OR_RETURN(VersionWriter writer, store.write(Deadline::after_seconds(10)));
  LS_RETURN_IF_ERROR(writer.reserve(id_of(version.manifest), version.data.size()));
  LS_RETURN_IF_ERROR(writer.write_at(0, version.data));
  for (const auto& [name, content] : version.files)
    LS_RETURN_IF_ERROR(writer.add_file(name, content));
  return writer.commit(version.manifest);
}

inline std::unique_ptr<WeightStore> store_in(const std::string& folder,
                                             const std::string& run = "run") {
  return WeightStore::open({.run = run, .folder = folder}).value();
}

}  // namespace longshot::publish

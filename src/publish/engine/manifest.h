#pragma once
// What a version of a run's weights is: its tensors and files, where they are, and their
// checksums. The tensors are one safetensors file, header included, so the stored data can be read
// by any program that knows the format. Checksums are XXH3-64. Value types; all functions are pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/format/safetensors.h"

namespace longshot::publish {

// Every tensor is cut into chunks of this many bytes, the last one being shorter; the header is a
// chunk of its own. A chunk is the unit that a fetch verifies.
constexpr uint64_t kChunkBytes = 4 << 20;

struct ManifestTensor {
  std::string name;                        // Hugging Face name
  model::Dtype dtype = model::Dtype::f32;  // f32 or bf16
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // of the first byte, counted from the end of the header
  uint64_t bytes = 0;
  uint64_t checksum = 0;
  std::vector<uint64_t> chunks;  // checksums; exactly one for a tensor of at most kChunkBytes
};

// A small file that belongs to the version: config.json, tokenizer files.
struct ManifestFile {
  std::string name;
  uint64_t bytes = 0;
  uint64_t checksum = 0;
};

struct Manifest {
  std::string run;
  // Two runs of a coordinator may publish the same version with other bits; the later one has a
  // higher epoch. The newest version is the one with the highest (epoch, version).
  int64_t version = 0;
  int64_t epoch = 0;
  uint64_t header_bytes = 0;  // the safetensors file's length field and JSON
  uint64_t header_checksum = 0;
  std::vector<ManifestTensor> tensors;  // in the order of their offsets
  std::vector<ManifestFile> files;

  uint64_t total_bytes() const;  // of the safetensors file
};

// The identity of a version, ordered by age.
struct VersionId {
  int64_t epoch = 0, version = 0;
  auto operator<=>(const VersionId&) const = default;
};
VersionId id_of(const Manifest& manifest);
std::string to_string(VersionId id);  // "version 7 of epoch 2"

// A piece of the safetensors file with a checksum of its own.
struct Chunk {
  uint64_t begin = 0, end = 0;  // bytes of the file
  uint64_t checksum = 0;
  std::string_view tensor;  // borrowed from the manifest; empty: the header
};
// All chunks, which cover the file without gaps.
std::vector<Chunk> chunks_of(const Manifest& manifest);

// Letters, digits, '.', '_' and '-', at most 128 of them, and not only dots: names that are safe in
// a path and a URL. `what` begins the message of an error.
Status check_name(const std::string& name, const std::string& what);

// The text depends on the manifest only. Two versions with the same text are the same bits.
std::string to_json(const Manifest& manifest);
// XXH3-64 of that text: a version's name for a directory that commits it.
uint64_t fingerprint(const Manifest& manifest);
// Checks everything that can be checked without the data: sizes against shapes, offsets without
// gaps, numbers of chunks, unique names. Errors begin with `where` and name the key or tensor.
Result<Manifest> parse_manifest(std::string_view text, const std::string& where);

// Lays the tensors out one after the other: sets `offset`, `bytes` and the number of chunks of each
// tensor, and `header_bytes`. Returns the safetensors header. The data begins at a multiple of 64
// bytes. `tensors` need name, dtype and shape.
std::string lay_out(Manifest& manifest);

// The first difference in names, types or shapes of the tensors, for an error message; empty if the
// two versions have the same layout.
std::string layout_difference(const Manifest& a, const Manifest& b);

}  // namespace longshot::publish

#pragma once
// The safetensors format: 8 bytes header length (little-endian), a JSON header {name: {dtype,
// shape, data_offsets}}, then the arrays without gaps (github.com/huggingface/safetensors, README
// "Format"). Little-endian hosts only, as the format.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/fs.h"
#include "base/status.h"

namespace longshot::model {

enum class Dtype {
  f64,
  f32,
  f16,
  bf16,
  i64,
  u64,
  i32,
  u32,
  i16,
  u16,
  i8,
  u8,
  boolean,
  f8_e4m3,
  f8_e5m2
};
const char* dtype_name(Dtype dtype);                        // the format's own: "F32", "BF16", ...
int64_t dtype_size(Dtype dtype);                            // bytes an element
std::string shape_text(const std::vector<int64_t>& shape);  // "[2, 3]"

// An array inside an open file.
struct SafetensorsEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  std::string_view bytes;  // borrowed from the file; any alignment

  int64_t elements() const { return static_cast<int64_t>(bytes.size()) / dtype_size(dtype); }
};

// A memory-mapped file. Everything the header says is checked when it is opened: bounds, sizes,
// overlaps, gaps. Immutable and thread-safe. A file that shrinks while it is mapped ends the
// process (SIGBUS).
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, SafetensorsEntry>& entries() const { return entries_; }  // by name
  const SafetensorsEntry* find(const std::string& name) const;                         // or null
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  SafetensorsFile(std::string path, MappedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  Status parse();
  Status check_layout(size_t data_size) const;

  std::string path_;
  MappedFile file_;
  std::map<std::string, SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// The floating-point array as f32; `out` holds entry.elements() values. An integer array is an
// error.
Status copy_as_f32(const SafetensorsEntry& entry, float* out);

// An array to write, borrowed.
struct SafetensorsArray {
  std::string name;
  Dtype dtype = Dtype::f32;  // of the file
  std::vector<int64_t> shape;
  // Row-major elements of type `dtype`; for bf16 and f16: of f32, unless `as_stored`.
  const void* data = nullptr;
  // In place of `data`, for arrays that are not all in memory at once: called when the array is
  // written; the pointer has to be valid until the next array's is asked for.
  std::function<const void*()> load = nullptr;
  bool as_stored = false;  // bf16 and f16: the elements have this type already
};

// Writes one file and fsyncs it (no rename). f16 and bf16 arrays are given as f32 and rounded to
// nearest even on the way; a finite value too large for the type is an error. Names must differ.
// Metadata: "format": "pt" is added, as transformers asks for it. The bytes depend on the arguments
// alone.
Status write_safetensors(const std::string& path, const std::vector<SafetensorsArray>& arrays,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace longshot::model

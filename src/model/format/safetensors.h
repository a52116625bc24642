#pragma once
// The safetensors format: 8 bytes of header length (little-endian), a JSON header {name: {dtype,
// shape, data_offsets}}, and the arrays without gaps (github.com/huggingface/safetensors, README
// "Format"). Little-endian hosts only, like the format.

#include <cstdint>
#include <functional>
#include <map>
#include <span>
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

// What a file contains, without its arrays.
struct SafetensorsHeader {
  struct Array {
    Dtype dtype = Dtype::f32;
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  // bytes of the file

    int64_t elements() const { return static_cast<int64_t>(end - begin) / dtype_size(dtype); }
  };
  std::map<std::string, Array> arrays;  // by name
  std::map<std::string, std::string> metadata;
};
// Reads the header only, and checks it completely against the size of the file: bounds, sizes,
// overlaps, gaps.
Result<SafetensorsHeader> read_safetensors_header(const RandomAccessFile& file);

// A memory-mapped file. open() checks it as read_safetensors_header() does. Immutable and
// thread-safe. If the file shrinks while it is mapped, the process ends (SIGBUS).
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

  std::string path_;
  MappedFile file_;
  std::map<std::string, SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

// Copies a floating-point array as f32. `out` must have room for entry.elements() values. Error: an
// integer array.
Status copy_as_f32(const SafetensorsEntry& entry, float* out);
// The same for `count` elements at `source`, which need no alignment.
Status convert_to_f32(Dtype dtype, const char* source, size_t count, float* out);

// An array to write, borrowed.
struct SafetensorsArray {
  std::string name;
  Dtype dtype = Dtype::f32;  // in the file
  std::vector<int64_t> shape;
  // Row-major elements of type `dtype`. For bf16 and f16 they are f32, unless `as_stored`.
  const void* data = nullptr;
  // Replaces `data` for arrays that are not all in memory at once. It is called when the array is
  // written, and the pointer must be valid until the next array's `load` is called.
  std::function<const void*()> load = nullptr;
  bool as_stored = false;  // bf16 and f16: the elements already have this type
};

// The name, type and shape of an array that a SafetensorsWriter writes.
struct SafetensorsSpec {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
};

// Writes a file whose arrays are never in memory as a whole. The arrays are written in the order of
// their specs, each in pieces of any size; close() fsyncs (no rename). The bytes are those of
// write_safetensors(). Specs must be in the order of non-increasing element sizes, so that each
// array is aligned. Movable only.
class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> create(const std::string& path,
                                          std::vector<SafetensorsSpec> specs,
                                          const std::map<std::string, std::string>& metadata = {});
  // The next elements of the current array, which must be f32, f16 or bf16: f32 values, rounded to
  // nearest even. Error: a finite value too large for the type.
  Status write(std::span<const float> values);
  // The next bytes of the current array, as the file has them.
  Status write_stored(std::string_view bytes);
  Status close();

 private:
  SafetensorsWriter(std::vector<SafetensorsSpec> specs, DurableFile file)
      : specs_(std::move(specs)), file_(std::move(file)) {}
  void advance(uint64_t bytes);

  std::vector<SafetensorsSpec> specs_;
  DurableFile file_;
  size_t current_ = 0;    // index into specs_
  uint64_t written_ = 0;  // bytes of the current array
};

// Writes one file and fsyncs it (no rename). f16 and bf16 arrays are given as f32, unless
// `as_stored`, and rounded to nearest even on the way. Error: a finite value too large for the
// type. Names must differ. The metadata "format": "pt" is added, because transformers requires it.
// The bytes depend only on the arguments.
Status write_safetensors(const std::string& path, const std::vector<SafetensorsArray>& arrays,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace longshot::model

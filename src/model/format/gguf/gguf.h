#pragma once
// The GGUF container, versions 2 and 3, little-endian: typed key-value metadata followed by tensors
// (github.com/ggml-org/ggml, docs/gguf.md).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/status.h"
#include "model/format/gguf/ggml_types.h"

namespace longshot::model {

enum class GgufType : uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};

// A metadata value; everything is borrowed from the file.
struct GgufValue {
  GgufType type = GgufType::u32;
  std::string_view bytes;  // a number's bytes, a string's text, the elements of an array of numbers
  GgufType element = GgufType::u32;       // of an array's elements
  std::vector<std::string_view> strings;  // the elements of an array of strings
};

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> shape;  // row-major, as in Hugging Face: the file's order reversed
  std::string_view bytes;      // borrowed

  int64_t elements() const;
};

class GgufCursor;         // internal
struct GgufTensorHeader;  // internal

// A memory-mapped file. open() checks it completely: bounds, types, sizes, overlaps. Immutable and
// thread-safe.
class GgufFile {
 public:
  static Result<GgufFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, GgufTensor>& tensors() const { return tensors_; }  // by name
  const GgufTensor* find_tensor(const std::string& name) const;                  // or null

  // A metadata value by key: a number, bool or string as JSON. Null if the key does not exist; an
  // error for an array. A float becomes the shortest decimal that reads back equal: 1e-5f becomes
  // 1e-5.
  Result<Json> scalar(const std::string& key) const;
  // Like scalar(), and for an array whose elements are all equal, that element: per-layer values of
  // a model with identical layers.
  Result<Json> uniform(const std::string& key) const;
  // Empty if the key does not exist.
  Result<std::vector<std::string>> strings(const std::string& key) const;
  Result<std::vector<int>> integers(const std::string& key) const;
  Result<std::vector<float>> floats(const std::string& key) const;

 private:
  GgufFile(std::string path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}
  Status parse();
  Status parse_values(GgufCursor& cursor, uint64_t count);
  Status parse_tensors(GgufCursor& cursor, uint64_t count);
  Status place_tensor(GgufTensorHeader& header, uint64_t alignment, std::string_view data);
  Status check_overlaps() const;

  std::string path_;
  MappedFile file_;
  std::map<std::string, GgufValue> values_;
  std::map<std::string, GgufTensor> tensors_;
};

}  // namespace longshot::model

#include "model/format/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "base/json.h"
#include "model/format/float_convert.h"

namespace longshot::model {
namespace {

static_assert(std::endian::native == std::endian::little, "model files are read as they lie");

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation
constexpr int kMaxDepth = 3;                  // {name: {shape: [...]}}

struct DtypeInfo {
  Dtype dtype;
  const char* name;
  int64_t size;
};
constexpr std::array<DtypeInfo, 15> kDtypes = {{{Dtype::f64, "F64", 8},
                                                {Dtype::f32, "F32", 4},
                                                {Dtype::f16, "F16", 2},
                                                {Dtype::bf16, "BF16", 2},
                                                {Dtype::i64, "I64", 8},
                                                {Dtype::u64, "U64", 8},
                                                {Dtype::i32, "I32", 4},
                                                {Dtype::u32, "U32", 4},
                                                {Dtype::i16, "I16", 2},
                                                {Dtype::u16, "U16", 2},
                                                {Dtype::i8, "I8", 1},
                                                {Dtype::u8, "U8", 1},
                                                {Dtype::boolean, "BOOL", 1},
                                                {Dtype::f8_e4m3, "F8_E4M3", 1},
                                                {Dtype::f8_e5m2, "F8_E5M2", 1}}};

const DtypeInfo& info_of(Dtype dtype) {
  return kDtypes[static_cast<size_t>(dtype)];
}

Result<Json> parse_header(std::string_view text, const std::string& path) {
  const auto header =
      parse_json(text, path + ": header", {.max_depth = kMaxDepth, .unique_keys = true});
  if (!header.ok()) return corrupt(header.status().message());
  if (!header->is_object()) return corrupt(path + ": the header is not a JSON object");
  return header;
}

// A list of non-negative integers, or false.
bool read_extents(const Json& object, const char* key, std::vector<int64_t>& out) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_array()) return false;
  for (const Json& item : object.at(key)) {
    if (!item.is_number_unsigned()) return false;
    const uint64_t value = item.get<uint64_t>();
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
    out.push_back(static_cast<int64_t>(value));
  }
  return true;
}

Result<int64_t> byte_size(const std::vector<int64_t>& shape, int64_t element_size) {
  int64_t size = element_size;
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(size, extent, &size)) return corrupt("has a shape too large");
  }
  return size;
}

// `data` is the place of the arrays in a file of `size` bytes.
Result<SafetensorsHeader::Array> parse_array(const Json& object, uint64_t data, uint64_t size) {
  SafetensorsHeader::Array array;
  const Json dtype = object.is_object() && object.contains("dtype") ? object.at("dtype") : Json();
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return dtype == d.name; });
  if (known == kDtypes.end()) return corrupt("has the unknown dtype " + dump_json(dtype));
  array.dtype = known->dtype;
  if (!read_extents(object, "shape", array.shape)) return corrupt("has no valid shape");
  std::vector<int64_t> offsets;
  if (!read_extents(object, "data_offsets", offsets) || offsets.size() != 2) {
    return corrupt("has no valid data_offsets");
  }
  const int64_t begin = offsets[0], end = offsets[1];
  if (begin > end || static_cast<uint64_t>(end) > size - data) {
    return corrupt(fmt::format("lies at bytes {} to {} of {} (is the file cut short?)", begin, end,
                               size - data));
  }
  LS_ASSIGN_OR_RETURN(const int64_t bytes, byte_size(array.shape, known->size));
  if (bytes != end - begin) {
    return corrupt(fmt::format("of shape {} and dtype {} needs {} bytes, its data_offsets give {}",
                               shape_text(array.shape), known->name, bytes, end - begin));
  }
  array.begin = data + static_cast<uint64_t>(begin);
  array.end = data + static_cast<uint64_t>(end);
  return array;
}

Status parse_metadata(const Json& object, const std::string& path, SafetensorsHeader& header) {
  if (!object.is_object()) return corrupt(path + ": __metadata__ is not an object");
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string())
      return corrupt(path + ": __metadata__ has a value that is not a string");
    header.metadata[key] = value.get<std::string>();
  }
  return ok_status();
}

// Checks that the arrays, in the order of their offsets, follow each other without gaps from `next`
// on and end with the file.
Status check_layout(const SafetensorsHeader& header, uint64_t next, const RandomAccessFile& file) {
  std::vector<std::pair<const std::string*, const SafetensorsHeader::Array*>> order;
  for (const auto& [name, array] : header.arrays) order.push_back({&name, &array});
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  for (const auto& [name, array] : order) {
    if (array->begin != next) {
      return corrupt(fmt::format("{}: tensor '{}' {} its neighbour", file.path(), *name,
                                 array->begin < next ? "overlaps" : "leaves a gap to"));
    }
    next = array->end;
  }
  if (next != file.size()) return corrupt(file.path() + ": there are bytes after the last tensor");
  return ok_status();
}

}  // namespace

const char* dtype_name(Dtype dtype) {
  return info_of(dtype).name;
}
int64_t dtype_size(Dtype dtype) {
  return info_of(dtype).size;
}
std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("{}", shape);
}

Result<SafetensorsHeader> read_safetensors_header(const RandomAccessFile& file) {
  const std::string& path = file.path();
  uint64_t length = 0;
  if (file.size() < sizeof length) return corrupt(path + ": too short for a safetensors file");
  LS_RETURN_IF_ERROR(file.read(0, {reinterpret_cast<char*>(&length), sizeof length}));
  if (length > kMaxHeader || length > file.size() - sizeof length) {
    return corrupt(
        fmt::format("{}: a header of {} bytes in a file of {} (is it a safetensors file, and "
                    "whole?)",
                    path, length, file.size()));
  }
  std::string text(length, '\0');
  LS_RETURN_IF_ERROR(file.read(sizeof length, text));
  LS_ASSIGN_OR_RETURN(const Json json, parse_header(text, path));
  SafetensorsHeader header;
  const uint64_t data = sizeof length + length;
  for (const auto& [name, object] : json.items()) {
    if (name == "__metadata__") {
      LS_RETURN_IF_ERROR(parse_metadata(object, path, header));
      continue;
    }
    auto array = parse_array(object, data, file.size());
    if (!array.ok())
      return corrupt(fmt::format("{}: tensor '{}' {}", path, name, array.status().message()));
    header.arrays.emplace(name, std::move(array).value());
  }
  LS_RETURN_IF_ERROR(check_layout(header, data, file));
  return header;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  LS_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  LS_ASSIGN_OR_RETURN(const RandomAccessFile random, RandomAccessFile::open(path));
  LS_ASSIGN_OR_RETURN(SafetensorsHeader header, read_safetensors_header(random));
  SafetensorsFile file(path, std::move(mapped));
  const std::string_view bytes = file.file_.bytes();
  if (bytes.size() != random.size()) return corrupt(path + ": its size changes");
  for (auto& [name, array] : header.arrays) {
    file.entries_.emplace(name,
                          SafetensorsEntry{name, array.dtype, std::move(array.shape),
                                           bytes.substr(array.begin, array.end - array.begin)});
  }
  file.metadata_ = std::move(header.metadata);
  return file;
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

Status convert_to_f32(Dtype dtype, const char* source, size_t count, float* out) {
  switch (dtype) {
    case Dtype::f32:
      std::memcpy(out, source, count * sizeof(float));
      return ok_status();
    case Dtype::f16:
      f16_to_f32(source, count, out);
      return ok_status();
    case Dtype::bf16:
      bf16_to_f32(source, count, out);
      return ok_status();
    case Dtype::f64:
      f64_to_f32(source, count, out);
      return ok_status();
    default:
      return invalid_argument(
          fmt::format("is {}, expected F32, BF16, F16 or F64", dtype_name(dtype)));
  }
}

Status copy_as_f32(const SafetensorsEntry& entry, float* out) {
  const Status status =
      convert_to_f32(entry.dtype, entry.bytes.data(), static_cast<size_t>(entry.elements()), out);
  if (status.ok()) return status;
  return invalid_argument(fmt::format("tensor '{}' {}", entry.name, status.message()));
}

}  // namespace longshot::model

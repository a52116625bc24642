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

Result<SafetensorsEntry> parse_entry(const std::string& name, const Json& object,
                                     std::string_view data) {
  SafetensorsEntry entry;
  entry.name = name;
  const Json dtype = object.is_object() && object.contains("dtype") ? object.at("dtype") : Json();
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return dtype == d.name; });
  if (known == kDtypes.end()) return corrupt("has the unknown dtype " + dump_json(dtype));
  entry.dtype = known->dtype;
  if (!read_extents(object, "shape", entry.shape)) return corrupt("has no valid shape");
  std::vector<int64_t> offsets;
  if (!read_extents(object, "data_offsets", offsets) || offsets.size() != 2) {
    return corrupt("has no valid data_offsets");
  }
  const int64_t begin = offsets[0], end = offsets[1];
  if (begin > end || static_cast<uint64_t>(end) > data.size()) {
    return corrupt(fmt::format("lies at bytes {} to {} of {} (is the file cut short?)", begin, end,
                               data.size()));
  }
  LS_ASSIGN_OR_RETURN(const int64_t size, byte_size(entry.shape, known->size));
  if (size != end - begin) {
    return corrupt(fmt::format("of shape {} and dtype {} needs {} bytes, its data_offsets give {}",
                               shape_text(entry.shape), known->name, size, end - begin));
  }
  entry.bytes = data.substr(static_cast<size_t>(begin), static_cast<size_t>(size));
  return entry;
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

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  LS_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  SafetensorsFile file(path, std::move(mapped));
  LS_RETURN_IF_ERROR(file.parse());
  return file;
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second;
}

Status SafetensorsFile::parse() {
  const std::string_view bytes = file_.bytes();
  uint64_t length = 0;
  if (bytes.size() < sizeof length) return corrupt(path_ + ": too short for a safetensors file");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMaxHeader || length > bytes.size() - sizeof length) {
    return corrupt(
        fmt::format("{}: a header of {} bytes in a file of {} (is it a safetensors file, and "
                    "whole?)",
                    path_, length, bytes.size()));
  }
  LS_ASSIGN_OR_RETURN(const Json header, parse_header(bytes.substr(sizeof length, length), path_));
  const std::string_view data = bytes.substr(sizeof length + length);
  for (const auto& [name, object] : header.items()) {
    if (name == "__metadata__") {
      if (!object.is_object()) return corrupt(path_ + ": __metadata__ is not an object");
      for (const auto& [key, value] : object.items()) {
        if (!value.is_string())
          return corrupt(path_ + ": __metadata__ has a value that is not a string");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    auto entry = parse_entry(name, object, data);
    if (!entry.ok()) {
      return corrupt(fmt::format("{}: tensor '{}' {}", path_, name, entry.status().message()));
    }
    entries_.emplace(name, std::move(entry).value());
  }
  return check_layout(data.size());
}

// Checks that the arrays, in the order of their offsets, follow each other without gaps and end
// with the file.
Status SafetensorsFile::check_layout(size_t data_size) const {
  std::vector<const SafetensorsEntry*> order;
  for (const auto& [name, entry] : entries_) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) <
           std::pair(b->bytes.data(), b->bytes.size());
  });
  const char* next = file_.bytes().data() + (file_.bytes().size() - data_size);
  for (const SafetensorsEntry* entry : order) {
    if (entry->bytes.data() != next) {
      return corrupt(fmt::format("{}: tensor '{}' {} its neighbour", path_, entry->name,
                                 entry->bytes.data() < next ? "overlaps" : "leaves a gap to"));
    }
    next += entry->bytes.size();
  }
  if (next != file_.bytes().data() + file_.bytes().size()) {
    return corrupt(path_ + ": there are bytes after the last tensor");
  }
  return ok_status();
}

Status copy_as_f32(const SafetensorsEntry& entry, float* out) {
  const size_t count = static_cast<size_t>(entry.elements());
  const char* source = entry.bytes.data();
  switch (entry.dtype) {
    case Dtype::f32:
      std::memcpy(out, source, entry.bytes.size());
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
      return invalid_argument(fmt::format("tensor '{}' is {}, expected F32, BF16, F16 or F64",
                                          entry.name, dtype_name(entry.dtype)));
  }
}

}  // namespace longshot::model

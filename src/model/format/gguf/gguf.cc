#include "model/format/gguf/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "model/format/safetensors.h"

namespace longshot::model {
template <typename T>
static T load(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Reads values from the front of the file. After the first failure every read fails.
class GgufCursor {
 public:
  explicit GgufCursor(std::string_view bytes) : bytes_(bytes) {}

  bool failed() const { return failed_; }
  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  std::string_view take(uint64_t size) {
    if (failed_ || size > left()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(position_, size);
    position_ += size;
    return taken;
  }

  template <typename T>
  T number() {
    const std::string_view bytes = take(sizeof(T));
    return failed_ ? T{} : load<T>(bytes);
  }

  std::string_view text() { return take(number<uint64_t>()); }

 private:
  std::string_view bytes_;
  size_t position_ = 0;
  bool failed_ = false;
};

// The file's description of a tensor, before the start of the data is known.
struct GgufTensorHeader {
  GgufTensor tensor;
  uint64_t offset = 0, size = 0;
};

namespace {

constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;
constexpr size_t kMaxName = 1 << 16;

// Bytes of a value of fixed size; 0 for strings, arrays and unknown types.
size_t scalar_size(GgufType type) {
  switch (type) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    default:
      return 0;
  }
}

Result<std::string> read_name(GgufCursor& cursor, const std::string& path) {
  const std::string_view name = cursor.text();
  if (cursor.failed() || name.size() > kMaxName) {
    return corrupt(path + ": a name is cut short or too long (is the file whole?)");
  }
  return std::string(name);
}

Status read_array(GgufCursor& cursor, GgufValue& value) {
  value.element = static_cast<GgufType>(cursor.number<uint32_t>());
  const auto count = cursor.number<uint64_t>();
  if (value.element == GgufType::string) {
    // A string takes at least the 8 bytes of its length, so a false count cannot reserve much
    // memory.
    if (cursor.failed() || count > cursor.left() / 8) return corrupt("is cut short");
    value.strings.reserve(count);
    for (uint64_t i = 0; i < count && !cursor.failed(); ++i) value.strings.push_back(cursor.text());
    return ok_status();
  }
  const size_t size = scalar_size(value.element);
  if (size == 0 && !cursor.failed()) return corrupt("is an array of a type that is not supported");
  if (cursor.failed() || count > cursor.left() / size) return corrupt("is cut short");
  value.bytes = cursor.take(count * size);
  return ok_status();
}

Result<GgufValue> read_value(GgufCursor& cursor) {
  GgufValue value;
  value.type = static_cast<GgufType>(cursor.number<uint32_t>());
  if (value.type == GgufType::string) {
    value.bytes = cursor.text();
  } else if (value.type == GgufType::array) {
    LS_RETURN_IF_ERROR(read_array(cursor, value));
  } else if (scalar_size(value.type) > 0) {
    value.bytes = cursor.take(scalar_size(value.type));
  } else {
    return corrupt(fmt::format("has the unknown type {}", static_cast<uint32_t>(value.type)));
  }
  if (cursor.failed()) return corrupt("is cut short");
  return value;
}

Result<GgufTensorHeader> read_tensor_header(GgufCursor& cursor) {
  GgufTensorHeader header;
  const auto dimensions = cursor.number<uint32_t>();
  if (dimensions > kMaxDimensions) return corrupt(fmt::format("has {} dimensions", dimensions));
  int64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = cursor.number<uint64_t>();
    if (extent > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ||
        __builtin_mul_overflow(elements, static_cast<int64_t>(extent), &elements)) {
      return corrupt("has a shape too large");
    }
    header.tensor.shape.insert(header.tensor.shape.begin(), static_cast<int64_t>(extent));
  }
  const auto type = cursor.number<uint32_t>();
  header.offset = cursor.number<uint64_t>();
  if (cursor.failed()) return corrupt("is cut short");
  header.tensor.type = find_ggml_type(type);
  if (header.tensor.type == nullptr) {
    return corrupt(fmt::format("has the number format {}, which is not supported ({})", type,
                               supported_ggml_types()));
  }
  const GgmlType& format = *header.tensor.type;
  const int64_t row = header.tensor.shape.empty() ? 1 : header.tensor.shape.back();
  if (row % format.block_elements != 0) {
    return corrupt(
        fmt::format("{} has rows that are not a multiple of the {} elements of a {} block",
                    shape_text(header.tensor.shape), format.block_elements, format.name));
  }
  int64_t size = 0;
  if (__builtin_mul_overflow(elements / format.block_elements, format.block_bytes, &size)) {
    return corrupt("has a shape too large");
  }
  header.size = static_cast<uint64_t>(size);
  return header;
}

Result<Json> to_json(const GgufValue& value) {
  switch (value.type) {
    case GgufType::u8:
      return Json(load<uint8_t>(value.bytes));
    case GgufType::i8:
      return Json(load<int8_t>(value.bytes));
    case GgufType::u16:
      return Json(load<uint16_t>(value.bytes));
    case GgufType::i16:
      return Json(load<int16_t>(value.bytes));
    case GgufType::u32:
      return Json(load<uint32_t>(value.bytes));
    case GgufType::i32:
      return Json(load<int32_t>(value.bytes));
    case GgufType::u64:
      return Json(load<uint64_t>(value.bytes));
    case GgufType::i64:
      return Json(load<int64_t>(value.bytes));
    case GgufType::boolean:
      return Json(value.bytes[0] != 0);
    case GgufType::string:
      return Json(std::string(value.bytes));
    case GgufType::f32:
      return Json(std::strtod(fmt::format("{}", load<float>(value.bytes)).c_str(), nullptr));
    case GgufType::f64:
      return Json(load<double>(value.bytes));
    default:
      return corrupt("is an array, expected one value");
  }
}

}  // namespace

int64_t GgufTensor::elements() const {
  return static_cast<int64_t>(bytes.size()) / type->block_bytes * type->block_elements;
}

Result<GgufFile> GgufFile::open(const std::string& path) {
  LS_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  GgufFile file(path, std::move(mapped));
  LS_RETURN_IF_ERROR(file.parse());
  return file;
}

Status GgufFile::parse() {
  GgufCursor cursor(file_.bytes());
  if (cursor.take(4) != "GGUF") return corrupt(path_ + ": not a GGUF file");
  const auto version = cursor.number<uint32_t>();
  if (version != 2 && version != 3) {
    return corrupt(fmt::format(
        "{}: GGUF version {:#x} is not supported (2 and 3 are, little-endian)", path_, version));
  }
  const auto tensor_count = cursor.number<uint64_t>(), value_count = cursor.number<uint64_t>();
  if (cursor.failed()) return corrupt(path_ + ": the file is cut short");
  LS_RETURN_IF_ERROR(parse_values(cursor, value_count));
  LS_RETURN_IF_ERROR(parse_tensors(cursor, tensor_count));
  return check_overlaps();
}

Status GgufFile::parse_values(GgufCursor& cursor, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    LS_ASSIGN_OR_RETURN(const std::string key, read_name(cursor, path_));
    auto value = read_value(cursor);
    if (!value.ok())
      return corrupt(fmt::format("{}: key '{}' {}", path_, key, value.status().message()));
    if (!values_.emplace(key, std::move(value).value()).second) {
      return corrupt(fmt::format("{}: key '{}' comes twice", path_, key));
    }
  }
  return ok_status();
}

// The headers contain offsets from the start of the data, which begins at the first aligned byte
// after the last header.
Status GgufFile::parse_tensors(GgufCursor& cursor, uint64_t count) {
  std::vector<GgufTensorHeader> headers;
  for (uint64_t i = 0; i < count; ++i) {
    LS_ASSIGN_OR_RETURN(const std::string name, read_name(cursor, path_));
    auto header = read_tensor_header(cursor);
    if (!header.ok())
      return corrupt(fmt::format("{}: tensor '{}' {}", path_, name, header.status().message()));
    header->tensor.name = name;
    headers.push_back(std::move(header).value());
  }
  LS_ASSIGN_OR_RETURN(const Json value, scalar("general.alignment"));
  const uint64_t alignment = value.is_number_unsigned() ? value.get<uint64_t>() : kDefaultAlignment;
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
    return corrupt(fmt::format("{}: general.alignment {} is not a power of two", path_, alignment));
  }
  const uint64_t start = (cursor.position() + alignment - 1) / alignment * alignment;
  const std::string_view data =
      file_.bytes().substr(std::min<uint64_t>(start, file_.bytes().size()));
  for (GgufTensorHeader& header : headers)
    LS_RETURN_IF_ERROR(place_tensor(header, alignment, data));
  return ok_status();
}

Status GgufFile::place_tensor(GgufTensorHeader& header, uint64_t alignment, std::string_view data) {
  const std::string name = header.tensor.name;
  if (header.offset % alignment != 0 || header.offset > data.size() ||
      header.size > data.size() - header.offset) {
    return corrupt(fmt::format("{}: tensor '{}' has {} bytes at {} of {} (is the file cut short?)",
                               path_, name, header.size, header.offset, data.size()));
  }
  header.tensor.bytes = data.substr(header.offset, header.size);
  if (!tensors_.emplace(name, std::move(header.tensor)).second) {
    return corrupt(fmt::format("{}: tensor '{}' comes twice", path_, name));
  }
  return ok_status();
}

Status GgufFile::check_overlaps() const {
  std::vector<const GgufTensor*> order;
  for (const auto& [name, tensor] : tensors_) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) <
           std::pair(b->bytes.data(), b->bytes.size());
  });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->bytes.data() + order[i - 1]->bytes.size() > order[i]->bytes.data()) {
      return corrupt(fmt::format("{}: tensors '{}' and '{}' overlap", path_, order[i - 1]->name,
                                 order[i]->name));
    }
  }
  return ok_status();
}

const GgufTensor* GgufFile::find_tensor(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

Result<Json> GgufFile::scalar(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return Json(nullptr);
  auto json = to_json(it->second);
  if (!json.ok())
    return corrupt(fmt::format("{}: key '{}' {}", path_, key, json.status().message()));
  return json;
}

Result<Json> GgufFile::uniform(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end() || it->second.type != GgufType::array) return scalar(key);
  const GgufValue& list = it->second;
  const size_t size = scalar_size(list.element);
  if (size == 0 || list.bytes.empty())
    return corrupt(fmt::format("{}: key '{}' is not a list of numbers", path_, key));
  const std::string_view first = list.bytes.substr(0, size);
  for (size_t at = 0; at < list.bytes.size(); at += size) {
    if (list.bytes.substr(at, size) != first) {
      return invalid_argument(
          fmt::format("{}: key '{}' differs between layers, which is not supported", path_, key));
    }
  }
  return to_json({.type = list.element, .bytes = first, .element = {}, .strings = {}});
}

Result<std::vector<std::string>> GgufFile::strings(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return std::vector<std::string>();
  if (it->second.type != GgufType::array || it->second.element != GgufType::string) {
    return corrupt(fmt::format("{}: key '{}' is not an array of strings", path_, key));
  }
  return std::vector<std::string>(it->second.strings.begin(), it->second.strings.end());
}

Result<std::vector<int>> GgufFile::integers(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return std::vector<int>();
  const GgufValue& value = it->second;
  if (value.type != GgufType::array ||
      (value.element != GgufType::i32 && value.element != GgufType::u32)) {
    return corrupt(fmt::format("{}: key '{}' is not an array of 32-bit integers", path_, key));
  }
  std::vector<int> numbers(value.bytes.size() / sizeof(int));
  if (!numbers.empty()) std::memcpy(numbers.data(), value.bytes.data(), value.bytes.size());
  return numbers;
}

Result<std::vector<float>> GgufFile::floats(const std::string& key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) return std::vector<float>();
  const GgufValue& value = it->second;
  if (value.type != GgufType::array || value.element != GgufType::f32)
    return corrupt(fmt::format("{}: key '{}' is not an array of 32-bit floats", path_, key));
  std::vector<float> numbers(value.bytes.size() / sizeof(float));
  if (!numbers.empty()) std::memcpy(numbers.data(), value.bytes.data(), value.bytes.size());
  return numbers;
}

}  // namespace longshot::model

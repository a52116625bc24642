#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "model/format/float_convert.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

size_t element_count(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (int64_t extent : shape) count *= static_cast<size_t>(extent);
  return count;
}

bool is_half(Dtype dtype) {
  return dtype == Dtype::f16 || dtype == Dtype::bf16;
}

// The header's bytes, padded with spaces so that the data begins at a multiple of 8.
std::string make_header(const std::vector<const SafetensorsArray*>& arrays,
                        const std::map<std::string, std::string>& metadata) {
  OrderedJson header = OrderedJson::object();
  header["__metadata__"] = metadata;
  header["__metadata__"]["format"] = "pt";
  size_t offset = 0;
  for (const SafetensorsArray* array : arrays) {
    const size_t end =
        offset + element_count(array->shape) * static_cast<size_t>(dtype_size(array->dtype));
    header[array->name] = {{"dtype", dtype_name(array->dtype)},
                           {"shape", array->shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

Status write_rounded(const SafetensorsArray& array, const float* values, DurableFile& file) {
  constexpr size_t kChunk = 1 << 16;
  const size_t count = element_count(array.shape);
  std::vector<uint16_t> buffer(std::min(kChunk, count));
  const uint16_t infinity = array.dtype == Dtype::bf16 ? 0x7f80 : 0x7c00;
  for (size_t begin = 0; begin < count; begin += kChunk) {
    const size_t n = std::min(kChunk, count - begin);
    for (size_t i = 0; i < n; ++i) {
      const float value = values[begin + i];
      buffer[i] = array.dtype == Dtype::bf16 ? f32_to_bf16(value) : f32_to_f16(value);
      if ((buffer[i] & 0x7fff) == infinity && std::isfinite(value)) {
        return invalid_argument(
            fmt::format("tensor '{}' holds {}, too large for {}: use a wider dtype", array.name,
                        value, dtype_name(array.dtype)));
      }
    }
    LS_RETURN_IF_ERROR(file.write({reinterpret_cast<const char*>(buffer.data()), 2 * n}));
  }
  return ok_status();
}

Status write_array(const SafetensorsArray& array, DurableFile& file) {
  const void* data = array.load ? array.load() : array.data;
  if (is_half(array.dtype) && !array.as_stored)
    return write_rounded(array, static_cast<const float*>(data), file);
  const size_t size = element_count(array.shape) * static_cast<size_t>(dtype_size(array.dtype));
  return file.write({static_cast<const char*>(data), size});
}

}  // namespace

Status write_safetensors(const std::string& path, const std::vector<SafetensorsArray>& arrays,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsArray*> order;
  for (const SafetensorsArray& array : arrays) order.push_back(&array);
  // Wide elements come first, so that each array is aligned to its own element.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->dtype) > dtype_size(b->dtype);
  });
  std::map<std::string_view, int> names;
  for (const auto* array : order) {
    LS_CHECK(++names[array->name] == 1 && array->name != "__metadata__", "bad name " + array->name);
  }
  LS_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
  const std::string header = make_header(order, metadata);
  const uint64_t length = header.size();
  LS_RETURN_IF_ERROR(file.write({reinterpret_cast<const char*>(&length), sizeof length}));
  LS_RETURN_IF_ERROR(file.write(header));
  for (const SafetensorsArray* array : order) LS_RETURN_IF_ERROR(write_array(*array, file));
  return file.close();
}

}  // namespace longshot::model

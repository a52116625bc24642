#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/json.h"
#include "model/format/float_convert.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

uint64_t byte_count(const std::vector<int64_t>& shape, Dtype dtype) {
  uint64_t count = static_cast<uint64_t>(dtype_size(dtype));
  for (int64_t extent : shape) count *= static_cast<uint64_t>(extent);
  return count;
}

bool is_half(Dtype dtype) {
  return dtype == Dtype::f16 || dtype == Dtype::bf16;
}

// The header's bytes, padded with spaces so that the data begins at a multiple of 8.
std::string make_header(const std::vector<SafetensorsSpec>& specs,
                        const std::map<std::string, std::string>& metadata) {
  OrderedJson header = OrderedJson::object();
  header["__metadata__"] = metadata;
  header["__metadata__"]["format"] = "pt";
  uint64_t offset = 0;
  for (const SafetensorsSpec& spec : specs) {
    const uint64_t end = offset + byte_count(spec.shape, spec.dtype);
    header[spec.name] = {
        {"dtype", dtype_name(spec.dtype)}, {"shape", spec.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = dump_json(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void check_specs(const std::vector<SafetensorsSpec>& specs) {
  std::map<std::string_view, int> names;
  for (size_t i = 0; i < specs.size(); ++i) {
    const SafetensorsSpec& spec = specs[i];
    LS_CHECK(++names[spec.name] == 1 && spec.name != "__metadata__", "bad name " + spec.name);
    LS_CHECK(i == 0 || dtype_size(spec.dtype) <= dtype_size(specs[i - 1].dtype),
             "wide elements come first");
  }
}

// Rounds `values` to f16 or bf16.
Status round_values(std::span<const float> values, const SafetensorsSpec& spec, uint16_t* out) {
  const uint16_t infinity = spec.dtype == Dtype::bf16 ? 0x7f80 : 0x7c00;
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    out[i] = spec.dtype == Dtype::bf16 ? f32_to_bf16(value) : f32_to_f16(value);
    if ((out[i] & 0x7fff) == infinity && std::isfinite(value)) {
      return invalid_argument(
          fmt::format("tensor '{}' holds {}, too large for {}: use a wider dtype", spec.name, value,
                      dtype_name(spec.dtype)));
    }
  }
  return ok_status();
}

Status write_array(const SafetensorsArray& array, SafetensorsWriter& writer) {
  const void* data = array.load ? array.load() : array.data;
  const uint64_t bytes = byte_count(array.shape, array.dtype);
  if (is_half(array.dtype) && !array.as_stored) {
    const size_t count = bytes / static_cast<uint64_t>(dtype_size(array.dtype));
    return writer.write({static_cast<const float*>(data), count});
  }
  return writer.write_stored({static_cast<const char*>(data), bytes});
}

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::create(
    const std::string& path, std::vector<SafetensorsSpec> specs,
    const std::map<std::string, std::string>& metadata) {
  check_specs(specs);
  LS_ASSIGN_OR_RETURN(DurableFile file, DurableFile::create(path));
  const std::string header = make_header(specs, metadata);
  const uint64_t length = header.size();
  LS_RETURN_IF_ERROR(file.write({reinterpret_cast<const char*>(&length), sizeof length}));
  LS_RETURN_IF_ERROR(file.write(header));
  SafetensorsWriter writer(std::move(specs), std::move(file));
  writer.advance(0);
  return writer;
}

// Arrays without elements are passed over.
void SafetensorsWriter::advance(uint64_t bytes) {
  written_ += bytes;
  while (current_ < specs_.size()) {
    const uint64_t whole = byte_count(specs_[current_].shape, specs_[current_].dtype);
    LS_CHECK(written_ <= whole, "too many values for " + specs_[current_].name);
    if (written_ < whole) return;
    ++current_;
    written_ = 0;
  }
}

Status SafetensorsWriter::write(std::span<const float> values) {
  constexpr size_t kChunk = 1 << 16;
  if (values.empty()) return ok_status();
  LS_CHECK(current_ < specs_.size(), "no array is left");
  const SafetensorsSpec& spec = specs_[current_];
  if (!is_half(spec.dtype)) {
    LS_CHECK(spec.dtype == Dtype::f32, "not an array of floating-point numbers: " + spec.name);
    return write_stored({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  std::vector<uint16_t> buffer(std::min(kChunk, values.size()));
  for (size_t begin = 0; begin < values.size(); begin += kChunk) {
    const auto piece = values.subspan(begin, std::min(kChunk, values.size() - begin));
    LS_RETURN_IF_ERROR(round_values(piece, spec, buffer.data()));
    LS_RETURN_IF_ERROR(
        file_.write({reinterpret_cast<const char*>(buffer.data()), 2 * piece.size()}));
  }
  advance(2 * values.size());
  return ok_status();
}

Status SafetensorsWriter::write_stored(std::string_view bytes) {
  if (bytes.empty()) return ok_status();
  LS_CHECK(current_ < specs_.size(), "no array is left");
  LS_RETURN_IF_ERROR(file_.write(bytes));
  advance(bytes.size());
  return ok_status();
}

Status SafetensorsWriter::close() {
  LS_CHECK(current_ == specs_.size(), "an array is not complete");
  return file_.close();
}

Status write_safetensors(const std::string& path, const std::vector<SafetensorsArray>& arrays,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsArray*> order;
  for (const SafetensorsArray& array : arrays) order.push_back(&array);
  // Wide elements come first, so that each array is aligned to its own element.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->dtype) > dtype_size(b->dtype);
  });
  std::vector<SafetensorsSpec> specs;
  for (const SafetensorsArray* array : order)
    specs.push_back({array->name, array->dtype, array->shape});
  LS_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                      SafetensorsWriter::create(path, std::move(specs), metadata));
  for (const SafetensorsArray* array : order) LS_RETURN_IF_ERROR(write_array(*array, writer));
  return writer.close();
}

}  // namespace longshot::model

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/json.h"
#include "model/format/float_convert.h"
#include "model/format/safetensors.h"

namespace longshot::model {
namespace {

// A file written front to back; close() makes it durable.
class OutputFile {
 public:
  explicit OutputFile(std::string path)
      : path_(std::move(path)),
        fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}
  ~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  Status write(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t n = ::write(fd_, data, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("write");
      data += n;
      size -= static_cast<size_t>(n);
    }
    return ok_status();
  }

  Status opened() const { return fd_ >= 0 ? ok_status() : failed("create"); }

  Status close() {
    if (::fsync(fd_) != 0) return failed("sync");
    const int closed = ::close(std::exchange(fd_, -1));
    return closed == 0 ? ok_status() : failed("close");
  }

 private:
  Status failed(const char* action) const {
    return io_error(fmt::format("cannot {} {}: {}", action, path_, std::strerror(errno)));
  }

  std::string path_;
  int fd_;
};

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

Status write_rounded(const SafetensorsArray& array, OutputFile& file) {
  constexpr size_t kChunk = 1 << 16;
  const auto* values = static_cast<const float*>(array.data);
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
    LS_RETURN_IF_ERROR(file.write(reinterpret_cast<const char*>(buffer.data()), 2 * n));
  }
  return ok_status();
}

}  // namespace

Status write_safetensors(const std::string& path, const std::vector<SafetensorsArray>& arrays,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const SafetensorsArray*> order;
  for (const SafetensorsArray& array : arrays) order.push_back(&array);
  // Wide elements first: then each array is aligned to its own element.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return dtype_size(a->dtype) > dtype_size(b->dtype);
  });
  std::map<std::string_view, int> names;
  for (const auto* array : order) {
    LS_CHECK(++names[array->name] == 1 && array->name != "__metadata__", "bad name " + array->name);
  }
  OutputFile file(path);
  LS_RETURN_IF_ERROR(file.opened());
  const std::string header = make_header(order, metadata);
  const uint64_t length = header.size();
  LS_RETURN_IF_ERROR(file.write(reinterpret_cast<const char*>(&length), sizeof length));
  LS_RETURN_IF_ERROR(file.write(header.data(), header.size()));
  for (const SafetensorsArray* array : order) {
    if (is_half(array->dtype)) {
      LS_RETURN_IF_ERROR(write_rounded(*array, file));
    } else {
      const size_t size =
          element_count(array->shape) * static_cast<size_t>(dtype_size(array->dtype));
      LS_RETURN_IF_ERROR(file.write(static_cast<const char*>(array->data), size));
    }
  }
  return file.close();
}

}  // namespace longshot::model

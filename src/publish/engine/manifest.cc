#include "publish/engine/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/os/fs.h"

namespace longshot::publish {
namespace {

constexpr int kFormat = 1;
constexpr uint64_t kMostHeaderBytes = 100 << 20;    // as in the safetensors library
constexpr uint64_t kMostBytes = uint64_t{1} << 50;  // of a version; keeps sums from overflowing
constexpr uint64_t kMostFileBytes = uint64_t{1} << 28;
constexpr uint64_t kDataAlignment = 64;

uint64_t chunk_count(uint64_t bytes) {
  return std::max<uint64_t>(1, (bytes + kChunkBytes - 1) / kChunkBytes);
}

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

Result<uint64_t> parse_hex(const std::string& text, const std::string& where) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value, 16);
  if (text.size() != 16 || stop != end || problem != std::errc())
    return corrupt(where + ": '" + text.substr(0, 40) + "' is not a checksum of 16 hex digits");
  return value;
}

Result<uint64_t> get_hex(const Json& json, const std::string& key, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const std::string text, json_get<std::string>(json, key, where));
  return parse_hex(text, where + ": " + key);
}

// Bytes of a tensor of that shape, or nothing if they are more than a version can have.
std::optional<uint64_t> byte_count(const std::vector<int64_t>& shape, model::Dtype dtype) {
  uint64_t bytes = static_cast<uint64_t>(model::dtype_size(dtype));
  for (const int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent > 0 && bytes > kMostBytes / static_cast<uint64_t>(extent)) return std::nullopt;
    bytes *= static_cast<uint64_t>(extent);
  }
  return bytes;
}

OrderedJson tensor_json(const ManifestTensor& tensor) {
  OrderedJson json = {{"name", tensor.name},   {"dtype", model::dtype_name(tensor.dtype)},
                      {"shape", tensor.shape}, {"offset", tensor.offset},
                      {"bytes", tensor.bytes}, {"xxh3", hex(tensor.checksum)}};
  if (tensor.chunks.size() == 1) return json;
  OrderedJson chunks = OrderedJson::array();
  for (const uint64_t chunk : tensor.chunks) chunks.push_back(hex(chunk));
  json["chunks"] = std::move(chunks);
  return json;
}

Result<std::vector<uint64_t>> parse_chunks(const Json& json, const ManifestTensor& tensor,
                                           const std::string& where) {
  if (tensor.bytes <= kChunkBytes) return std::vector<uint64_t>{tensor.checksum};
  LS_ASSIGN_OR_RETURN(const auto texts, json_get<std::vector<std::string>>(json, "chunks", where));
  if (texts.size() != chunk_count(tensor.bytes)) {
    return corrupt(fmt::format("{}: {} chunks for {} bytes, expected {}", where, texts.size(),
                               tensor.bytes, chunk_count(tensor.bytes)));
  }
  std::vector<uint64_t> chunks;
  for (const std::string& text : texts) {
    LS_ASSIGN_OR_RETURN(const uint64_t chunk, parse_hex(text, where + ": chunks"));
    chunks.push_back(chunk);
  }
  return chunks;
}

Result<model::Dtype> parse_dtype(const std::string& name, const std::string& where) {
  for (const auto dtype : {model::Dtype::f32, model::Dtype::bf16}) {
    if (name == model::dtype_name(dtype)) return dtype;
  }
  return corrupt(where + ": dtype '" + name + "' is neither F32 nor BF16");
}

// `next` is the offset that the tensor must have.
Result<ManifestTensor> parse_tensor(const Json& json, uint64_t next, const std::string& list) {
  ManifestTensor tensor;
  LS_ASSIGN_OR_RETURN(tensor.name, json_get<std::string>(json, "name", list));
  const std::string where = list + " '" + tensor.name + "'";
  LS_ASSIGN_OR_RETURN(const std::string dtype, json_get<std::string>(json, "dtype", where));
  LS_ASSIGN_OR_RETURN(tensor.dtype, parse_dtype(dtype, where));
  LS_ASSIGN_OR_RETURN(tensor.shape, json_get<std::vector<int64_t>>(json, "shape", where));
  LS_ASSIGN_OR_RETURN(tensor.offset, json_get<uint64_t>(json, "offset", where));
  LS_ASSIGN_OR_RETURN(tensor.bytes, json_get<uint64_t>(json, "bytes", where));
  LS_ASSIGN_OR_RETURN(tensor.checksum, get_hex(json, "xxh3", where));
  const auto bytes = byte_count(tensor.shape, tensor.dtype);
  if (!bytes || *bytes != tensor.bytes) {
    return corrupt(fmt::format("{}: {} bytes do not fit the shape {}", where, tensor.bytes,
                               model::shape_text(tensor.shape)));
  }
  if (tensor.offset != next)
    return corrupt(fmt::format("{}: offset {}, expected {}", where, tensor.offset, next));
  LS_ASSIGN_OR_RETURN(tensor.chunks, parse_chunks(json, tensor, where));
  return tensor;
}

Status parse_tensors(const Json& json, const std::string& where, Manifest& manifest) {
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "tensors", where));
  if (!list.is_array()) return corrupt(where + ": 'tensors' is not a list");
  std::set<std::string> names;
  uint64_t next = 0;
  for (const Json& entry : list) {
    LS_ASSIGN_OR_RETURN(auto tensor, parse_tensor(entry, next, where + ": tensor"));
    if (!names.insert(tensor.name).second)
      return corrupt(where + ": two tensors are called '" + tensor.name + "'");
    next = tensor.offset + tensor.bytes;
    if (next > kMostBytes) return corrupt(where + ": the tensors are too large");
    manifest.tensors.push_back(std::move(tensor));
  }
  return ok_status();
}

Status parse_files(const Json& json, const std::string& where, Manifest& manifest) {
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "files", where));
  if (!list.is_array()) return corrupt(where + ": 'files' is not a list");
  std::set<std::string> names;
  for (const Json& entry : list) {
    ManifestFile file;
    LS_ASSIGN_OR_RETURN(file.name, json_get<std::string>(entry, "name", where + ": file"));
    LS_RETURN_IF_ERROR(check_name(file.name, where + ": file"));
    LS_ASSIGN_OR_RETURN(file.bytes, json_get<uint64_t>(entry, "bytes", where + ": " + file.name));
    LS_ASSIGN_OR_RETURN(file.checksum, get_hex(entry, "xxh3", where + ": " + file.name));
    if (!names.insert(file.name).second)
      return corrupt(where + ": two files are called '" + file.name + "'");
    if (file.bytes > kMostFileBytes) return corrupt(where + ": " + file.name + " is too large");
    manifest.files.push_back(std::move(file));
  }
  return ok_status();
}

Status parse_identity(const Json& json, const std::string& where, Manifest& manifest) {
  LS_ASSIGN_OR_RETURN(const int format, json_get<int>(json, "format", where));
  if (format != kFormat)
    return corrupt(fmt::format("{}: format {}, this program reads {}", where, format, kFormat));
  LS_ASSIGN_OR_RETURN(manifest.run, json_get<std::string>(json, "run", where));
  LS_RETURN_IF_ERROR(check_name(manifest.run, where + ": run"));
  LS_ASSIGN_OR_RETURN(manifest.version, json_get<int64_t>(json, "version", where));
  LS_ASSIGN_OR_RETURN(manifest.epoch, json_get<int64_t>(json, "epoch", where));
  if (manifest.version < 0 || manifest.epoch < 0)
    return corrupt(where + ": a version and an epoch are not negative");
  return ok_status();
}

}  // namespace

uint64_t Manifest::total_bytes() const {
  return header_bytes + (tensors.empty() ? 0 : tensors.back().offset + tensors.back().bytes);
}

VersionId id_of(const Manifest& manifest) {
  return {manifest.epoch, manifest.version};
}

std::string to_string(VersionId id) {
  return fmt::format("version {} of epoch {}", id.version, id.epoch);
}

std::vector<Chunk> chunks_of(const Manifest& manifest) {
  std::vector<Chunk> chunks = {{0, manifest.header_bytes, manifest.header_checksum, {}}};
  for (const ManifestTensor& tensor : manifest.tensors) {
    const uint64_t begin = manifest.header_bytes + tensor.offset, end = begin + tensor.bytes;
    for (size_t i = 0; i < tensor.chunks.size() && tensor.bytes > 0; ++i) {
      const uint64_t from = begin + i * kChunkBytes;
      chunks.push_back({from, std::min(from + kChunkBytes, end), tensor.chunks[i], tensor.name});
    }
  }
  return chunks;
}

Status check_name(const std::string& name, const std::string& what) {
  const bool safe = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  });
  if (safe && name.size() <= 128 && name.find_first_not_of('.') != std::string::npos)
    return ok_status();
  return invalid_argument(what + " '" + name.substr(0, 140) +
                          "': use letters, digits, '.', '_' and '-', at most 128");
}

std::string to_json(const Manifest& manifest) {
  OrderedJson json = {{"format", kFormat},
                      {"run", manifest.run},
                      {"version", manifest.version},
                      {"epoch", manifest.epoch},
                      {"header_bytes", manifest.header_bytes},
                      {"header_xxh3", hex(manifest.header_checksum)},
                      {"total_bytes", manifest.total_bytes()},
                      {"tensors", OrderedJson::array()},
                      {"files", OrderedJson::array()}};
  for (const ManifestTensor& tensor : manifest.tensors)
    json["tensors"].push_back(tensor_json(tensor));
  for (const ManifestFile& file : manifest.files) {
    json["files"].push_back(
        {{"name", file.name}, {"bytes", file.bytes}, {"xxh3", hex(file.checksum)}});
  }
  return dump_json(json);
}

uint64_t fingerprint(const Manifest& manifest) {
  return checksum(to_json(manifest));
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where, {.unique_keys = true}));
  Manifest manifest;
  LS_RETURN_IF_ERROR(parse_identity(json, where, manifest));
  LS_ASSIGN_OR_RETURN(manifest.header_bytes, json_get<uint64_t>(json, "header_bytes", where));
  if (manifest.header_bytes < 8 || manifest.header_bytes > kMostHeaderBytes)
    return corrupt(fmt::format("{}: a header of {} bytes", where, manifest.header_bytes));
  LS_ASSIGN_OR_RETURN(manifest.header_checksum, get_hex(json, "header_xxh3", where));
  LS_RETURN_IF_ERROR(parse_tensors(json, where, manifest));
  LS_RETURN_IF_ERROR(parse_files(json, where, manifest));
  LS_ASSIGN_OR_RETURN(const uint64_t total, json_get<uint64_t>(json, "total_bytes", where));
  if (total == manifest.total_bytes()) return manifest;
  return corrupt(fmt::format("{}: total_bytes is {}, but the tensors end at {}", where, total,
                             manifest.total_bytes()));
}

std::string lay_out(Manifest& manifest) {
  OrderedJson header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t offset = 0;
  for (ManifestTensor& tensor : manifest.tensors) {
    const auto bytes = byte_count(tensor.shape, tensor.dtype);
    LS_CHECK(bytes && !header.contains(tensor.name), "bad shape or name of " + tensor.name);
    tensor.offset = offset;
    tensor.bytes = *bytes;
    tensor.chunks.assign(chunk_count(*bytes), 0);
    offset += *bytes;
    header[tensor.name] = {{"dtype", model::dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.offset, offset}}};
  }
  std::string text = dump_json(header);
  const uint64_t whole = text.size() + 8;
  text.append((kDataAlignment - whole % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t length = text.size();
  manifest.header_bytes = length + 8;
  return std::string(reinterpret_cast<const char*>(&length), 8) + text;
}

std::string layout_difference(const Manifest& a, const Manifest& b) {
  if (a.tensors.size() != b.tensors.size())
    return fmt::format("{} tensors instead of {}", b.tensors.size(), a.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const ManifestTensor &x = a.tensors[i], &y = b.tensors[i];
    if (x.name != y.name || x.dtype != y.dtype || x.shape != y.shape)
      return fmt::format("tensor '{}' {} {} instead of '{}' {} {}", y.name,
                         model::dtype_name(y.dtype), model::shape_text(y.shape), x.name,
                         model::dtype_name(x.dtype), model::shape_text(x.shape));
  }
  return {};
}

}  // namespace longshot::publish

#include "publish/engine/weights_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/json.h"
#include "model/format/architecture.h"
#include "model/format/config.h"
#include "model/format/float_convert.h"
#include "publish/engine/hasher.h"

namespace longshot::publish {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kGenerationConfig = "generation_config.json";
// Values copied before they are hashed: they are still in the second-level cache.
constexpr size_t kBlock = 32 << 10;

const char* config_dtype(model::Dtype dtype) {
  return dtype == model::Dtype::bf16 ? "bfloat16" : "float32";
}

// Rounds to nearest even; false if a finite value becomes infinite.
bool round_to_bf16(const float* values, size_t count, char* out) {
  bool fits = true;
  for (size_t i = 0; i < count; ++i) {
    const uint16_t rounded = model::f32_to_bf16(values[i]);
    fits = fits && ((rounded & 0x7fff) != 0x7f80 || std::isinf(values[i]));
    std::memcpy(out + i * sizeof rounded, &rounded, sizeof rounded);
  }
  return fits;
}

// The bytes that the version has for some values: the values themselves, or rounded into `buffer`.
Result<std::string_view> stored_bytes(const float* values, size_t count,
                                      const ManifestTensor& tensor, std::vector<char>& buffer) {
  if (tensor.dtype == model::Dtype::f32)
    return std::string_view(reinterpret_cast<const char*>(values), count * sizeof(float));
  buffer.resize(kBlock * sizeof(uint16_t));
  if (round_to_bf16(values, count, buffer.data()))
    return std::string_view(buffer.data(), count * sizeof(uint16_t));
  return invalid_argument(
      fmt::format("tensor '{}' has a value too large for bf16: publish f32", tensor.name));
}

// Stores one tensor, and sets its checksums. `begin` is its place in the file.
Status store_tensor(const float* values, ManifestTensor& tensor, uint64_t begin,
                    VersionWriter& writer) {
  const auto size = static_cast<size_t>(model::dtype_size(tensor.dtype));
  const size_t count = tensor.bytes / size, per_chunk = kChunkBytes / size;
  const bool single = tensor.chunks.size() == 1;
  Hasher whole, chunk;
  std::vector<char> buffer;
  for (size_t at = 0; at < count;) {
    const size_t in_chunk = per_chunk - at % per_chunk;
    const size_t block = std::min({kBlock, count - at, in_chunk});
    LS_ASSIGN_OR_RETURN(const auto bytes, stored_bytes(values + at, block, tensor, buffer));
    whole.add(bytes);
    if (!single) chunk.add(bytes);
    LS_RETURN_IF_ERROR(writer.write_at(begin + at * size, bytes));
    at += block;
    if (single || (block != in_chunk && at != count)) continue;
    tensor.chunks[(at - 1) / per_chunk] = chunk.value();
    chunk.reset();
  }
  tensor.checksum = whole.value();
  if (single) tensor.chunks[0] = tensor.checksum;
  return ok_status();
}

Result<model::ModelConfig> read_config(const HeldVersion& version) {
  LS_ASSIGN_OR_RETURN(const std::string_view text, version.file(kConfig));
  const std::string where = (version.folder() / kConfig).string();
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where));
  LS_ASSIGN_OR_RETURN(model::ModelConfig config, model::config_from_json(json, where));
  const auto generation = version.file(kGenerationConfig);
  if (!generation.ok()) return config;
  const std::string there = (version.folder() / kGenerationConfig).string();
  LS_ASSIGN_OR_RETURN(const Json more, parse_json(*generation, there));
  LS_RETURN_IF_ERROR(model::apply_generation_config(more, there, config));
  return config;
}

// The tensors must be those of the configuration, in its order.
Status check_tensors(const HeldVersion& version, const model::ModelConfig& config) {
  const auto expected = model::expected_weights(config);
  const auto& held = version.manifest().tensors;
  const std::string where = to_string(id_of(version.manifest()));
  if (held.size() != expected.size()) {
    return corrupt(fmt::format("{}: {} tensors, but its config.json describes {}", where,
                               held.size(), expected.size()));
  }
  for (size_t i = 0; i < held.size(); ++i) {
    if (held[i].name == expected[i].name && held[i].shape == expected[i].shape) continue;
    return corrupt(fmt::format("{}: tensor '{}' {}, but its config.json describes '{}' {}", where,
                               held[i].name, model::shape_text(held[i].shape), expected[i].name,
                               model::shape_text(expected[i].shape)));
  }
  return ok_status();
}

}  // namespace

EngineSink::EngineSink(WeightStore& store, EngineSinkOptions options)
    : store_(store), options_(std::move(options)), pool_(std::max(1, options_.threads)) {
  LS_CHECK(options_.dtype == model::Dtype::f32 || options_.dtype == model::Dtype::bf16,
           "weights are published in f32 or bf16");
}

Manifest EngineSink::make_manifest(const model::WeightsView& view) const {
  Manifest manifest;
  manifest.run = store_.run();
  manifest.version = view.version;
  manifest.epoch = options_.epoch;
  for (const model::TensorView& tensor : view.tensors)
    manifest.tensors.push_back({tensor.name, dtype_of(tensor), tensor.shape, 0, 0, 0, {}});
  return manifest;
}

model::Dtype EngineSink::dtype_of(const model::TensorView& tensor) const {
  const bool is_factor =
      tensor.shape.size() == 2 && tensor.name != model::weight_of(model::names::kEmbedding);
  return options_.only_products && !is_factor ? model::Dtype::f32 : options_.dtype;
}

Result<Held> EngineSink::write(const model::WeightsView& view) {
  Manifest manifest = make_manifest(view);
  const std::string header = lay_out(manifest);
  LS_ASSIGN_OR_RETURN(VersionWriter writer,
                      store_.write(Deadline::after_seconds(options_.deadline_seconds)));
  LS_RETURN_IF_ERROR(writer.reserve(id_of(manifest), manifest.total_bytes()));
  manifest.header_checksum = checksum(header);
  LS_RETURN_IF_ERROR(writer.write_at(0, header));
  LS_RETURN_IF_ERROR(copy(view, manifest, writer));
  LS_RETURN_IF_ERROR(add_files(view, manifest, writer));
  return writer.commit(manifest);
}

// Large tensors are begun first, so that all threads finish together.
Status EngineSink::copy(const model::WeightsView& view, Manifest& manifest, VersionWriter& writer) {
  std::vector<size_t> order(view.tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return manifest.tensors[a].bytes > manifest.tensors[b].bytes;
  });
  std::atomic<size_t> next{0};
  std::vector<Status> statuses(order.size());
  std::lock_guard lock(mutex_);
  pool_.parallel_for(pool_.threads(), [&](int) {
    for (size_t i = next++; i < order.size(); i = next++) {
      ManifestTensor& tensor = manifest.tensors[order[i]];
      const model::TensorView& source = view.tensors[order[i]];
      LS_CHECK(source.data != nullptr, "a view that is published has its arrays on the host");
      statuses[order[i]] =
          store_tensor(source.data, tensor, manifest.header_bytes + tensor.offset, writer);
    }
  });
  for (const Status& status : statuses) LS_RETURN_IF_ERROR(status);
  return ok_status();
}

Status EngineSink::add_files(const model::WeightsView& view, Manifest& manifest,
                             VersionWriter& writer) {
  std::map<std::string, std::string> files = options_.files;
  model::ModelConfig config = view.config;
  config.dtype = config_dtype(options_.dtype);
  files[kConfig] = dump_json(model::config_to_json(config), 2) + "\n";
  files[kGenerationConfig] = dump_json(model::generation_config_to_json(config), 2) + "\n";
  for (const auto& [name, content] : files) {
    LS_RETURN_IF_ERROR(writer.add_file(name, content));
    manifest.files.push_back({name, content.size(), checksum(content)});
  }
  return ok_status();
}

std::function<Status(const model::WeightsView&)> EngineSink::sink() {
  return [this](const model::WeightsView& view) { return write(view).status(); };
}

std::function<Result<uint64_t>(const std::string&)> EngineSink::probe() {
  if (options_.dtype != model::Dtype::f32) return nullptr;
  return [this](const std::string& name) -> Result<uint64_t> {
    const Held held = store_.latest();
    const ManifestTensor* tensor = held ? held->find(name) : nullptr;
    if (tensor == nullptr) return not_found("the store does not hold tensor '" + name + "'");
    return checksum(held->tensor(*tensor));
  };
}

Result<HeldWeights> open_weights(const Held& version, ThreadPool& pool) {
  HeldWeights weights;
  weights.version = version;
  LS_ASSIGN_OR_RETURN(weights.view.config, read_config(*version));
  LS_RETURN_IF_ERROR(check_tensors(*version, weights.view.config));
  weights.view.version = version->manifest().version;
  const auto& tensors = version->manifest().tensors;
  weights.expanded.resize(tensors.size());
  pool.parallel_for(static_cast<int>(tensors.size()), [&](int i) {
    const ManifestTensor& tensor = tensors[static_cast<size_t>(i)];
    if (tensor.dtype == model::Dtype::f32) return;
    auto& values = weights.expanded[static_cast<size_t>(i)];
    values.resize(tensor.bytes / sizeof(uint16_t));
    model::bf16_to_f32(version->tensor(tensor).data(), values.size(), values.data());
  });
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool whole = tensors[i].dtype == model::Dtype::f32;
    const void* mapped = version->tensor(tensors[i]).data();
    weights.view.tensors.push_back(
        {tensors[i].name, tensors[i].shape,
         whole ? static_cast<const float*>(mapped) : weights.expanded[i].data()});
  }
  return weights;
}

}  // namespace longshot::publish

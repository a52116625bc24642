// AdamW's moments and counters on disk.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/core.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "base/json.h"
#include "base/os/fs.h"
#include "model/format/safetensors.h"
#include "train/optimizer/optimizer.h"

namespace longshot::train {
namespace {

std::string tensors_path(const std::string& directory) {
  return directory + "/optimizer.safetensors";
}
std::string counters_path(const std::string& directory) {
  return directory + "/trainer.json";
}

std::vector<int64_t> shape_of(const at::Tensor& tensor) {
  return tensor.sizes().vec();
}

model::Dtype dtype_of(const at::Tensor& tensor) {
  if (tensor.scalar_type() == at::kByte) return model::Dtype::u8;
  return tensor.scalar_type() == at::kBFloat16 ? model::Dtype::bf16 : model::Dtype::f32;
}

// Reads the array `part.name` into a tensor. Its shape and dtype must be those of part.tensor.
Result<at::Tensor> read_part(const model::SafetensorsFile& file, const Moments::Part& part) {
  const model::SafetensorsEntry* entry = file.find(part.name);
  if (entry == nullptr) {
    return corrupt(fmt::format("{}: tensor '{}' is missing; the state belongs to another model",
                               file.path(), part.name));
  }
  const std::vector<int64_t> shape = shape_of(part.tensor);
  if (entry->shape != shape || entry->dtype != dtype_of(part.tensor)) {
    return corrupt(fmt::format("{}: tensor '{}' is {} {}, the model and optim.moments need {} {}",
                               file.path(), part.name, model::dtype_name(entry->dtype),
                               model::shape_text(entry->shape),
                               model::dtype_name(dtype_of(part.tensor)), model::shape_text(shape)));
  }
  at::Tensor host =
      at::empty(part.tensor.sizes(), at::TensorOptions().dtype(part.tensor.scalar_type()));
  std::memcpy(host.mutable_data_ptr(), entry->bytes.data(), entry->bytes.size());
  return host;
}

}  // namespace

Status AdamW::save(const std::string& directory) const {
  const at::NoGradGuard no_grad;
  LS_RETURN_IF_ERROR(make_directories(directory));
  at::Tensor host;  // the one being written; on a CPU the moments themselves
  std::vector<model::SafetensorsArray> arrays;
  for (const auto& moments : moments_) {
    for (const auto& [name, tensor] : moments.parts()) {
      const auto load = [&host, tensor]() -> const void* {
        host = at::Tensor();
        host = tensor.to(at::kCPU).contiguous();
        return host.const_data_ptr();
      };
      arrays.push_back({name, dtype_of(tensor), shape_of(tensor), nullptr, load, true});
    }
  }
  LS_RETURN_IF_ERROR(model::write_safetensors(tensors_path(directory), arrays));
  const Json counters = {{"schedule_steps", counters_.schedule_steps},
                         {"moment_steps", counters_.moment_steps},
                         {"moment_resets", counters_.moment_resets},
                         {"skipped_steps", counters_.skipped_steps}};
  return write_file_durable(counters_path(directory), dump_json(counters, 2) + "\n");
}

Status AdamW::load(const std::string& directory) {
  const at::NoGradGuard no_grad;
  const std::string where = counters_path(directory);
  LS_ASSIGN_OR_RETURN(const Json counters, read_json_file(where));
  LS_ASSIGN_OR_RETURN(const auto schedule, json_get<int64_t>(counters, "schedule_steps", where));
  LS_ASSIGN_OR_RETURN(const auto steps, json_get<int64_t>(counters, "moment_steps", where));
  LS_ASSIGN_OR_RETURN(const auto resets, json_get_or<int64_t>(counters, "moment_resets", 0, where));
  LS_ASSIGN_OR_RETURN(const auto skipped, json_get<int64_t>(counters, "skipped_steps", where));

  LS_ASSIGN_OR_RETURN(const auto file, model::SafetensorsFile::open(tensors_path(directory)));
  std::vector<Moments::Part> parts;
  for (const auto& moments : moments_) {
    for (auto& part : moments.parts()) parts.push_back(std::move(part));
  }
  if (file.entries().size() != parts.size()) {
    return corrupt(
        fmt::format("{}: {} tensors, the model and optim.moments need {}; the state belongs to "
                    "another model or to other trainable weights",
                    file.path(), file.entries().size(), parts.size()));
  }
  std::vector<at::Tensor> loaded;  // nothing changes before all is read
  for (const auto& part : parts) {
    LS_ASSIGN_OR_RETURN(auto host, read_part(file, part));
    loaded.push_back(std::move(host));
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i].tensor.copy_(loaded[i]);
  counters_.schedule_steps = schedule;
  counters_.moment_steps = steps;
  counters_.moment_resets = resets;
  counters_.skipped_steps = skipped;
  return ok_status();
}

}  // namespace longshot::train

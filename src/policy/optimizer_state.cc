// AdamW's moments and counters on disk.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "base/fs.h"
#include "base/json.h"
#include "model/format/safetensors.h"
#include "policy/optimizer.h"

namespace longshot::policy {
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

// The array `name` as a tensor like `like`; every other form is an error.
Result<at::Tensor> read_moment(const model::SafetensorsFile& file, const std::string& name,
                               const at::Tensor& like) {
  const model::SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) {
    return corrupt(fmt::format("{}: tensor '{}' is missing; the state belongs to another model",
                               file.path(), name));
  }
  if (entry->shape != shape_of(like) || entry->dtype != model::Dtype::f32) {
    return corrupt(fmt::format("{}: tensor '{}' is {} {}, the model needs F32 {}", file.path(),
                               name, model::dtype_name(entry->dtype),
                               model::shape_text(entry->shape), model::shape_text(shape_of(like))));
  }
  at::Tensor host = at::empty(like.sizes(), at::TensorOptions().dtype(at::kFloat));
  LS_RETURN_IF_ERROR(model::copy_as_f32(*entry, host.mutable_data_ptr<float>()));
  return host;
}

}  // namespace

Status AdamW::save(const std::string& directory) const {
  const at::NoGradGuard no_grad;
  LS_RETURN_IF_ERROR(make_directories(directory));
  std::vector<at::Tensor> host;  // keeps copies from another device alive until they are written
  std::vector<model::SafetensorsArray> arrays;
  const auto add = [&](const std::string& name, const at::Tensor& moment) {
    host.push_back(moment.to(at::kCPU).contiguous());
    arrays.push_back(
        {name, model::Dtype::f32, shape_of(moment), host.back().const_data_ptr<float>()});
  };
  for (const auto& m : moments_) {
    add("exp_avg/" + m.name, m.exp_avg);
    add("exp_avg_sq/" + m.name, m.exp_avg_sq);
  }
  LS_RETURN_IF_ERROR(model::write_safetensors(tensors_path(directory), arrays));
  const Json counters = {{"schedule_steps", schedule_steps_},
                         {"moment_steps", moment_steps_},
                         {"skipped_steps", skipped_steps_}};
  return write_file_durable(counters_path(directory), counters.dump(2) + "\n");
}

Status AdamW::load(const std::string& directory) {
  const at::NoGradGuard no_grad;
  const std::string where = counters_path(directory);
  LS_ASSIGN_OR_RETURN(const Json counters, read_json_file(where));
  LS_ASSIGN_OR_RETURN(const auto schedule, json_get<int64_t>(counters, "schedule_steps", where));
  LS_ASSIGN_OR_RETURN(const auto steps, json_get<int64_t>(counters, "moment_steps", where));
  LS_ASSIGN_OR_RETURN(const auto skipped, json_get<int64_t>(counters, "skipped_steps", where));

  LS_ASSIGN_OR_RETURN(const auto file, model::SafetensorsFile::open(tensors_path(directory)));
  if (file.entries().size() != 2 * moments_.size()) {
    return corrupt(
        fmt::format("{}: {} tensors, the model needs {}; the state belongs to another model",
                    file.path(), file.entries().size(), 2 * moments_.size()));
  }
  std::vector<std::pair<at::Tensor, at::Tensor>> loaded;  // nothing changes before all is read
  for (const auto& m : moments_) {
    LS_ASSIGN_OR_RETURN(auto first, read_moment(file, "exp_avg/" + m.name, m.exp_avg));
    LS_ASSIGN_OR_RETURN(auto second, read_moment(file, "exp_avg_sq/" + m.name, m.exp_avg_sq));
    loaded.emplace_back(std::move(first), std::move(second));
  }
  for (size_t i = 0; i < moments_.size(); ++i) {
    moments_[i].exp_avg.copy_(loaded[i].first);
    moments_[i].exp_avg_sq.copy_(loaded[i].second);
  }
  schedule_steps_ = schedule;
  moment_steps_ = steps;
  skipped_steps_ = skipped;
  return ok_status();
}

}  // namespace longshot::policy

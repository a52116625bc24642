#include "model/merge/merge_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/os/fs.h"
#include "model/merge/merge_folder.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;  // changes when the same settings give other bytes

// Everything that the bytes of the result depend on.
Json settings_of(const MergeOptions& options, const MergeInputs& inputs) {
  const Recipe& recipe = options.recipe;
  Json settings = {{"format", kFormat},
                   {"merge_method", name_of(recipe.method)},
                   {"models", inputs.fingerprints()},
                   {"base_model", recipe.base_model},
                   {"dtype", inputs.config.dtype},
                   {"normalize", recipe.normalizes()},
                   {"rescale", recipe.rescales()},
                   {"seed", recipe.seed},
                   {"max_shard_bytes", options.max_shard_bytes}};
  // The numbers that were computed from the recipe, rather than its text.
  std::string numbers;
  for (const WeightSpec& tensor : inputs.tensors) {
    const TensorMerge merge = plan_tensor(recipe, inputs, tensor);
    numbers += fmt::format("{} {} {}", merge.name, merge.t, merge.lambda);
    for (const TensorInput& input : merge.inputs)
      numbers += fmt::format(" {}:{}:{}", input.model, input.weight, input.density);
    numbers += "\n";
  }
  settings["numbers of the tensors"] = fmt::format("{:016x}", checksum(numbers));
  Json order = Json::array();
  for (const RecipeModel& model : recipe.models) order.push_back(model.path);
  settings["order of the models"] = order;
  return settings;
}

std::vector<SafetensorsSpec> specs_of(const WeightFile& file, const MergeInputs& inputs) {
  std::vector<SafetensorsSpec> specs;
  for (const size_t i : file.tensors) {
    const WeightSpec& tensor = inputs.tensors[i];
    specs.push_back({tensor.name, stored_dtype(inputs.config.dtype), tensor.shape});
  }
  return specs;
}

Status write_weights(const fs::path& path, const WeightFile& file, const MergeOptions& options,
                     const MergeInputs& inputs, const OnTensor& on_tensor) {
  LS_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                      SafetensorsWriter::create(path.string(), specs_of(file, inputs)));
  for (const size_t i : file.tensors) {
    on_tensor(i, inputs.tensors[i].name);
    const TensorMerge merge = plan_tensor(options.recipe, inputs, inputs.tensors[i]);
    LS_RETURN_IF_ERROR(
        merge_tensor(merge, [&](std::span<const float> values) { return writer.write(values); }));
  }
  return writer.close();
}

Status write_description(const std::string& directory, const MergeInputs& inputs) {
  const tokenizer::Tokenizer* tokenizer = nullptr;
  for (const auto& model : inputs.models)
    if (tokenizer == nullptr) tokenizer = model->files().tokenizer.get();
  return write_model_description(directory, inputs.config, tokenizer,
                                 &inputs.first().chat_template);
}

// "out/" names the directory itself.
fs::path output_path(const std::string& given) {
  const fs::path path = fs::absolute(given).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

Status check_not_an_input(const fs::path& output, const MergeInputs& inputs) {
  std::error_code error;
  for (const auto& model : inputs.models) {
    if (!fs::equivalent(output, model->path(), error) &&
        !fs::equivalent(output, model->directory(), error))
      continue;
    return invalid_argument(
        fmt::format("--output is the model {} itself; choose another directory", model->path()));
  }
  return ok_status();
}

Status write_all(MergeFolder& folder, const MergeOptions& options, const MergeInputs& inputs,
                 const OnTensor& on_tensor) {
  const MergePlan plan = plan_merge(options, inputs);
  for (const WeightFile& file : plan.files) {
    LS_ASSIGN_OR_RETURN(const bool done, folder.has(file.name));
    if (done) continue;
    LS_RETURN_IF_ERROR(write_weights(folder.path() / file.name, file, options, inputs, on_tensor));
    LS_RETURN_IF_ERROR(folder.add(file.name));
  }
  const std::string directory = folder.path().string();
  LS_RETURN_IF_ERROR(write_weight_index(directory, plan.files, inputs.tensors));
  LS_RETURN_IF_ERROR(write_description(directory, inputs));
  return fsync_path(folder.path());
}

}  // namespace

MergePlan plan_merge(const MergeOptions& options, const MergeInputs& inputs) {
  MergePlan plan;
  const Dtype stored = stored_dtype(inputs.config.dtype);
  plan.files = plan_weight_files(inputs.tensors, stored, options.max_shard_bytes);
  for (const WeightFile& file : plan.files) plan.bytes += file.bytes;
  plan.parameters = plan.bytes / dtype_size(stored);
  const auto values = merge_block_values(options.recipe.models.size());
  plan.memory_bytes = values * static_cast<int64_t>(sizeof(float));
  for (const auto& model : inputs.models) plan.memory_bytes += model->bytes_in_memory();
  const MethodTraits& traits = traits_of(options.recipe.method);
  const bool one_pass =
      !traits.trims && !traits.drops_at_random && options.recipe.method != MergeMethod::slerp;
  const int64_t passes = one_pass ? 1 : traits.trims ? 3 : 2;
  const auto models = static_cast<int64_t>(inputs.models.size());
  plan.read_bytes = passes * models * plan.parameters * static_cast<int64_t>(sizeof(float));
  return plan;
}

Status run_merge(const MergeOptions& options, const MergeInputs& inputs,
                 const OnTensor& on_tensor) {
  const fs::path output = output_path(options.output);
  LS_RETURN_IF_ERROR(check_not_an_input(output, inputs));
  const Json settings = settings_of(options, inputs);
  LS_ASSIGN_OR_RETURN(const bool finished, MergeFolder::is_finished(output, settings));
  if (finished) return ok_status();
  LS_RETURN_IF_ERROR(MergeFolder::check_output(output, options.overwrite));
  LS_RETURN_IF_ERROR(make_directories(output.parent_path()));
  LS_ASSIGN_OR_RETURN(MergeFolder folder, MergeFolder::open(output, settings));
  LS_RETURN_IF_ERROR(write_all(folder, options, inputs, on_tensor)
                         .with_context(folder.path().string() + " keeps what is finished"));
  return folder.become_output(options.overwrite);
}

}  // namespace longshot::model

// longshot convert: writes a model of any readable form as a Hugging Face directory; adapters are
// merged.

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/os/clock.h"
#include "base/os/fs.h"
#include "commands/command.h"
#include "commands/model/model.h"
#include "model/format/adapters/adapter.h"
#include "model/format/model_files.h"
#include "model/format/model_path.h"

namespace longshot::commands {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string model, adapter, output, dtype;
  int64_t max_shard_bytes = int64_t{5} << 30;
  bool overwrite = false;
};

// Only a model may be overwritten: a mistyped --output must not destroy a home directory.
Status check_output(const ConvertOptions& options, const fs::path& output) {
  std::error_code error;
  if (!fs::exists(output, error)) return ok_status();
  if (!options.overwrite) {
    return invalid_argument(output.string() +
                            " exists already; choose another --output or add --overwrite");
  }
  if (fs::equivalent(options.model, output, error)) {
    return invalid_argument("--output is the model itself; choose another directory");
  }
  const bool empty = fs::is_directory(output, error) && fs::is_empty(output, error);
  if (!empty && !fs::exists(output / "config.json", error)) {
    return invalid_argument(output.string() +
                            " is not a model directory (it has no config.json) and is left alone; "
                            "choose another --output");
  }
  return ok_status();
}

// Renames the finished directory to the output. An existing output is first moved aside and deleted
// last.
Status move_into_place(const fs::path& prepared, const fs::path& output) {
  if (!fs::exists(output)) return rename_durable(prepared, output);
  const fs::path old = fmt::format("{}.old-{}", output.string(), ::getpid());
  LS_RETURN_IF_ERROR(rename_durable(output, old));
  const Status moved = rename_durable(prepared, output);
  if (!moved.ok()) {
    const Status restored = rename_durable(old, output);
    return restored.ok() ? moved
                         : moved.with_context("the earlier model is now in " + old.string());
  }
  return remove_tree(old);
}

model::WeightsView view_of(const model::ModelFiles& files) {
  model::WeightsView view{files.config, 0, {}};
  for (const model::HostTensor& t : files.weights)
    view.tensors.push_back({t.name, t.shape, t.data.data()});
  return view;
}

Status write_and_move(const ConvertOptions& options, const model::ModelFiles& files,
                      const std::string& dtype, const fs::path& output) {
  const fs::path prepared = fmt::format("{}.tmp-{}", output.string(), ::getpid());
  Status status = model::write_model(prepared.string(), view_of(files), files.tokenizer.get(),
                                     &files.chat_template, dtype, options.max_shard_bytes);
  if (status.ok()) status = move_into_place(prepared, output);
  if (!status.ok()) (void)remove_tree(prepared);  // the first error is reported
  return status;
}

void print_summary(const ConvertOptions& options, const model::ModelFiles& files,
                   const std::string& dtype, const fs::path& output, double seconds) {
  const model::ModelConfig& config = files.config;
  fmt::print("{} -> {}\n", options.model, output.string());
  fmt::print("  {}, {} layers, width {}, {:.1f} M parameters, {}\n", config.model_type,
             config.num_layers, config.hidden_size,
             static_cast<double>(model::parameter_count(config)) / 1e6, dtype);
  fmt::print("  tokenizer: {}, chat template: {}\n", files.tokenizer ? "yes" : "none",
             files.chat_template.family());
  if (!options.adapter.empty())
    fmt::print("  adapter: {}, merged\n", options.adapter);
  else if (model::is_adapter_directory(options.model))
    fmt::print("  adapter: {}, merged into its base model\n", options.model);
  fmt::print("  {:.1f} s\n", seconds);
}

Status convert(ConvertOptions& options) {
  const Stopwatch watch;
  std::error_code error;  // a link remains, and its target is replaced
  fs::path output = fs::weakly_canonical(fs::absolute(options.output), error);
  if (error) return invalid_argument(options.output + ": " + error.message());
  if (!output.has_filename()) output = output.parent_path();  // "out/"
  LS_ASSIGN_OR_RETURN(options.model, model::find_model(options.model));
  LS_RETURN_IF_ERROR(check_output(options, output));
  LS_ASSIGN_OR_RETURN(model::ModelFiles files, model::read_any_model(options.model));
  if (!options.adapter.empty()) LS_RETURN_IF_ERROR(model::apply_adapter(options.adapter, files));
  const std::string dtype = options.dtype.empty() ? files.config.dtype : options.dtype;
  LS_RETURN_IF_ERROR(make_directories(output.parent_path()));
  LS_RETURN_IF_ERROR(write_and_move(options, files, dtype, output));
  print_summary(options, files, dtype, output, watch.seconds());
  return ok_status();
}

}  // namespace

void add_convert(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand(
      "convert", "Convert a model, GGUF file or adapter to a Hugging Face directory");
  command->add_option("--model", options->model, kModelHelp)->required();
  command->add_option("--adapter", options->adapter,
                      "directory of the peft package whose LoRA is merged into the model");
  command->add_option("--output", options->output, "directory to create")->required();
  command
      ->add_option("--dtype", options->dtype,
                   "of the weights written (default: the model's own; float32 if it "
                   "is quantized)")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}));
  command
      ->add_option("--max-shard-size", options->max_shard_bytes,
                   "largest weight file, in bytes or as 500MB, 5GB (powers of 1024)")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--overwrite", options->overwrite, "replace a model that is already there");
  command->callback(
      [options, &exit_code] { exit_code = finish([&] { return convert(*options); }); });
}

}  // namespace longshot::commands

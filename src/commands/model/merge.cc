// longshot merge: merges models of one architecture into one, without training.

#include <fmt/format.h>

#include <memory>

#include "base/os/clock.h"
#include "base/os/machine.h"
#include "base/progress_line.h"
#include "commands/command.h"
#include "commands/key_flags.h"
#include "commands/model/model.h"
#include "model/merge/merge_run.h"

namespace longshot::commands {
namespace {

struct MergeFlags {
  model::RecipeKeys keys;
  std::vector<std::string> models;
  std::vector<double> weights, densities;
  model::MergeOptions options;
  bool dry_run = false;
};

// One value for each model, or the same for all.
Status set_numbers(const std::string& name, const std::vector<double>& values,
                   std::vector<model::RecipeModel>& models) {
  if (values.empty()) return ok_status();
  if (values.size() != 1 && values.size() != models.size()) {
    return invalid_argument(
        fmt::format("--{} is given {} times for {} models: give it once, or "
                    "once for each --model",
                    name, values.size(), models.size()));
  }
  for (size_t i = 0; i < models.size(); ++i) {
    const double value = values[values.size() == 1 ? 0 : i];
    models[i].parameters.insert_or_assign(name, model::Parameter::constant(value));
  }
  return ok_status();
}

Result<model::Recipe> recipe_of(const MergeFlags& flags) {
  model::Recipe recipe = flags.keys.recipe;
  if (!flags.models.empty()) {
    if (!recipe.models.empty()) return invalid_argument("give models with --recipe or --model");
    for (const std::string& path : flags.models) recipe.models.push_back({path, {}});
  }
  LS_RETURN_IF_ERROR(set_numbers("weight", flags.weights, recipe.models));
  LS_RETURN_IF_ERROR(set_numbers("density", flags.densities, recipe.models));
  LS_RETURN_IF_ERROR(model::check_recipe(recipe));
  return recipe;
}

double mib(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

void print_plan(const model::MergeOptions& options, const model::MergeInputs& inputs) {
  const model::MergePlan plan = model::plan_merge(options, inputs);
  fmt::print("{} of {} models -> {}\n", name_of(options.recipe.method), inputs.models.size(),
             options.output);
  for (const auto& model : inputs.models) {
    const bool base = model->path() == options.recipe.base_model;
    fmt::print("  {}{}{}\n", model->path(), base ? ", the base model" : "",
               model->bytes_in_memory() > 0
                   ? ", in memory as a whole (longshot convert makes a directory of it)"
                   : "");
  }
  fmt::print("  {}, {} layers, {:.1f} M parameters, {}; tokenizer: {}\n", inputs.config.model_type,
             inputs.config.num_layers, static_cast<double>(plan.parameters) / 1e6,
             inputs.config.dtype, inputs.first().tokenizer ? "yes" : "none");
  fmt::print("  writes {:.1f} MiB in {} weight files, memory for values: {:.1f} MiB\n",
             mib(plan.bytes), plan.files.size(), mib(plan.memory_bytes));
}

Status merge(MergeFlags& flags) {
  const Stopwatch watch;
  LS_ASSIGN_OR_RETURN(flags.options.recipe, recipe_of(flags));
  LS_ASSIGN_OR_RETURN(const model::MergeInputs inputs, model::open_inputs(flags.options.recipe));
  print_plan(flags.options, inputs);
  if (flags.dry_run) return ok_status();
  ProgressLine progress;
  const auto total = static_cast<int64_t>(inputs.tensors.size());
  progress.start(0, total);
  const Status merged =
      model::run_merge(flags.options, inputs, [&](size_t done, const std::string& name) {
        progress.update(static_cast<int64_t>(done), name);
      });
  progress.clear();
  if (merged.code() == StatusCode::cancelled)
    return cancelled(merged.message() + "; the same command continues");
  LS_RETURN_IF_ERROR(merged);
  fmt::print("  {:.1f} s, peak memory {:.1f} MiB\n", watch.seconds(), peak_memory_gib() * 1024);
  return ok_status();
}

// Options that are processed in this order: a flag overrides the recipe.
void add_recipe_options(CLI::App& command, MergeFlags& flags) {
  auto settings = std::make_shared<Settings>();
  model::bind(*settings, flags.keys);
  const auto load = [settings](const CLI::results_t& words) {
    const Status status = settings->load_toml_file(words.back());
    if (!status.ok()) throw CLI::ValidationError(status.message());
    return true;
  };
  command
      .add_option("--recipe", CLI::callback_t(load), "TOML file with the keys of docs/merging.md")
      ->type_name("FILE");
  add_key_flags(command, *settings, {{"--method", "merge_method"}, {"--base-model", "base_model"}});
  command.add_option("--model", flags.models, fmt::format("{}; once for each model", kModelHelp));
  command.add_option("--weight", flags.weights, "share of a model: once, or once for each --model");
  command.add_option("--density", flags.densities, "ties, dare: share of the differences kept")
      ->check(CLI::Range(0.0, 1.0));
  add_key_flags(command, *settings,
                {{"--t", "parameters.t"},
                 {"--lambda", "parameters.lambda"},
                 {"--normalize", "parameters.normalize"},
                 {"--rescale", "parameters.rescale"},
                 {"--dtype", "dtype"},
                 {"--seed", "seed"}});
}

}  // namespace

void add_merge(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<MergeFlags>();
  CLI::App* command =
      app.add_subcommand("merge", "Merge models of one architecture, without training");
  add_recipe_options(*command, *flags);
  command->add_option("--output", flags->options.output, "directory to create")->required();
  command
      ->add_option("--max-shard-size", flags->options.max_shard_bytes,
                   "largest weight file, in bytes or as 500MB, 5GB (powers of 1024)")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--overwrite", flags->options.overwrite, "replace a model that is there");
  command->add_flag("--dry-run", flags->dry_run,
                    "read and compare the models, print what would be done, and write nothing");
  command->callback([flags, &exit_code] { exit_code = finish([&] { return merge(*flags); }); });
}

}  // namespace longshot::commands

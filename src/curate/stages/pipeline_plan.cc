// The plan of a run.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/progress_line.h"
#include "curate/stages/pipeline.h"
#include "curate/stages/stage_keys.h"
#include "datasets/files.h"
#include "datasets/shard.h"
#include "datasets/text_source.h"

namespace longshot::curate {
namespace {

struct InputSize {
  int64_t rows = 0, bytes = 0;  // of compressed files, the bytes of their content
};

Result<InputSize> size_of_lines(const std::string& path) {
  LS_ASSIGN_OR_RETURN(datasets::TextSource text, datasets::TextSource::open(path));
  std::istream& in = text.stream();
  std::vector<char> block(1 << 20);
  InputSize size;
  bool open_line = false;
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())), in.gcount() > 0) {
    size.bytes += in.gcount();
    size.rows += std::count(block.begin(), block.begin() + in.gcount(), '\n');
    open_line = block[static_cast<size_t>(in.gcount()) - 1] != '\n';
  }
  LS_RETURN_IF_ERROR(text.status().with_context(path));
  size.rows += open_line ? 1 : 0;
  return size;
}

// Of a parquet file, the shard knows the number of rows; only JSONL has lines.
Result<InputSize> size_of(const std::string& path, const datasets::ShardReader& shard) {
  if (shard.place().line > 0) return size_of_lines(path);
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return io_error(fmt::format("{}: {}", path, error.message()));
  return InputSize{shard.borders(1).back(), static_cast<int64_t>(bytes)};
}

// Also reads the first row of each file, so that a wrong file is an error of the plan.
Result<InputSize> input_size(const CurateOptions& options) {
  InputSize size;
  LS_ASSIGN_OR_RETURN(const auto files, datasets::find_files(options.files));
  for (const std::string& file : files) {
    LS_ASSIGN_OR_RETURN(const auto shard, datasets::open_shard(file));
    LS_ASSIGN_OR_RETURN(const auto row, shard->next());
    if (row) LS_RETURN_IF_ERROR(parse_problem(*row, options.rows).status());
    LS_ASSIGN_OR_RETURN(const InputSize one, size_of(file, *shard));
    size.rows += one.rows;
    size.bytes += one.bytes;
  }
  return size;
}

std::string duplicates_line(const CurateOptions& options, int64_t rows) {
  const auto bands = choose_bands(options.duplicate.threshold, options.duplicate.permutations);
  if (!bands.ok()) return "";
  const DuplicateCost cost = duplicate_cost(rows, *bands);
  return fmt::format(
      "duplicates: {} bands of {} hashes; a pair at {:.2f} is found with probability {:.4f}, at "
      "0.90 "
      "with {:.6f}; {:.0f} MiB of memory, {:.0f} MiB of disk while it runs, {} passes over the "
      "keys\n",
      bands->bands, bands->rows, options.duplicate.threshold,
      candidate_probability(*bands, options.duplicate.threshold),
      candidate_probability(*bands, 0.9), cost.memory / kMiB, cost.disk / kMiB, bands->bands);
}

// What a stage asks of the model; empty if it asks nothing.
std::string model_line(Stage stage, const CurateOptions& options, const CurateModel& model,
                       int64_t rows) {
  if (!asks_model(stage, options)) return "";
  const bool guess = stage == Stage::hackable;
  const int tries = guess ? options.hack_tries : options.difficulty_tries;
  const int64_t tokens =
      guess ? options.hack_tokens : model.settings.value("max_tokens", int64_t{0});
  return fmt::format("  at most {} answers of the model, of at most {} tokens each\n",
                     with_commas(rows * tries), tokens);
}

}  // namespace

Result<std::string> make_plan(const CurateOptions& options, const Settings& settings,
                              const CurateModel& model, const std::filesystem::path& folder) {
  LS_ASSIGN_OR_RETURN(const InputSize size, input_size(options));
  LS_ASSIGN_OR_RETURN(const auto stages, keyed_stages(options, settings, model, folder / "state"));
  std::string text =
      fmt::format("input: {} rows, {:.1f} MiB in {}\n", with_commas(size.rows),
                  static_cast<double>(size.bytes) / kMiB, fmt::join(options.files, ", "));
  bool all_done = true;
  for (const KeyedStage& stage : stages) {
    all_done = all_done && is_done(stage);
    text += fmt::format("stage {}: {}\n", name_of(stage.stage), all_done ? "done" : "to do");
    if (!all_done) text += model_line(stage.stage, options, model, size.rows);
  }
  if (options.duplicates) text += duplicates_line(options, size.rows);
  constexpr double kCopies = 2.5;  // rows, words, results
  text += fmt::format("disk: about {:.1f} MiB in {}\n",
                      kCopies * static_cast<double>(size.bytes) / kMiB, folder.string());
  return text;
}

}  // namespace longshot::curate

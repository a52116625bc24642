#include "curate/stages/pipeline.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/os/fs.h"
#include "base/os/output.h"
#include "curate/stages/funnel.h"
#include "curate/stages/results.h"
#include "curate/stages/stage_functions.h"
#include "curate/stages/stage_keys.h"

namespace longshot::curate {
namespace {

namespace fs = std::filesystem;

// Files that a killed process left half written.
Status remove_leftovers(const fs::path& state, const std::vector<KeyedStage>& stages) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state, error)) {
    const std::string name = entry.path().filename().string();
    bool known = name == "rows.jsonl" || name == "words.txt";
    for (const Stage stage : all_of<Stage>())
      known |= name == fmt::format("{}.jsonl", name_of(stage));
    for (const KeyedStage& stage : stages) known |= name == name_of(stage.stage);  // of its model
    if (!known) LS_RETURN_IF_ERROR(remove_tree(entry.path()));
  }
  return ok_status();
}

// The rows belong to the decisions of normalize, so these are removed first.
Status write_input(const CurateOptions& options, const KeyedStage& normalize, const fs::path& state,
                   const CurateProgress& on_progress) {
  LS_RETURN_IF_ERROR(remove_tree(normalize.path));
  LS_RETURN_IF_ERROR(fsync_path(state));
  return write_rows(options, state, [&](int64_t rows) { on_progress("rows", rows, 0); });
}

Status decide(const KeyedStage& stage, const StageContext& context) {
  LS_ASSIGN_OR_RETURN(DecisionWriter writer, DecisionWriter::create(stage.path, stage.header));
  LS_ASSIGN_OR_RETURN(const OrderedJson summary, run_stage(stage.stage, context, writer));
  return writer.finish(summary);
}

Result<OrderedJson> write_results(const RowStore& rows, const RowSet& set,
                                  const std::vector<StageFile>& files, const fs::path& folder,
                                  const CurateProgress& on_progress) {
  const auto total = static_cast<int64_t>(rows.size());
  LS_RETURN_IF_ERROR(write_dropped(folder / "dropped.jsonl", rows, files));
  LS_ASSIGN_OR_RETURN(OrderedJson funnel, make_funnel(rows, files));
  LS_RETURN_IF_ERROR(write_output(folder / "report.json", dump_json(funnel, 1) + "\n"));
  LS_RETURN_IF_ERROR(write_output(folder / "report.html", funnel_page(funnel)));
  LS_RETURN_IF_ERROR(write_prompts(folder / "prompts.jsonl", rows, set, [&](int64_t done) {
    on_progress("prompts.jsonl", done, total);
  }));
  return funnel;
}

}  // namespace

Result<OrderedJson> curate(const CurateOptions& options, const Settings& settings,
                           const CurateModel& model, const fs::path& folder,
                           const CurateProgress& on_progress) {
  const fs::path state = folder / "state";
  LS_RETURN_IF_ERROR(make_directories(state));
  LS_ASSIGN_OR_RETURN(const auto stages, keyed_stages(options, settings, model, state));
  LS_RETURN_IF_ERROR(remove_leftovers(state, stages));
  if (!is_done(stages.front()))
    LS_RETURN_IF_ERROR(write_input(options, stages.front(), state, on_progress));
  LS_ASSIGN_OR_RETURN(const RowStore rows, RowStore::open(state));
  if (rows.size() == 0) return invalid_argument("the input has no rows");
  RowSet set(rows.size());
  std::vector<StageFile> files;
  for (const KeyedStage& stage : stages) {
    const std::string name = name_of(stage.stage);
    const StageContext context{
        options, rows,      set,
        state,   model.ask, [&](int64_t done, int64_t total) {
                                 on_progress(name, done, total); }};
    if (!is_done(stage)) LS_RETURN_IF_ERROR(decide(stage, context));
    LS_RETURN_IF_ERROR(apply_decisions(stage.path, set));
    files.push_back({stage.stage, stage.path});
    on_progress(name, 0, 0);
  }
  return write_results(rows, set, files, folder, on_progress);
}

}  // namespace longshot::curate

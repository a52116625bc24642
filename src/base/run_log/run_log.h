#pragma once
// The log that a run writes for people and tools, below its folder:
//   metrics.jsonl                 one line per step
//   tensorboard/events.*          the same numbers
//   samples/samples_000012.jsonl  responses of step 12 with their verdicts, one per line
//   samples/held_out_000012.jsonl those of the evaluation after step 12
//   warnings.jsonl                what the process warned of, with the step
//   events.jsonl                  which workers on other machines came and went, with the step
// `longshot report` reads all of it but the events of TensorBoard.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/run_event.h"
#include "base/run_log/append_file.h"
#include "base/run_log/metrics_log.h"
#include "base/run_log/tensorboard.h"
#include "base/run_log/warnings_log.h"

namespace longshot {

// One response and its verdict, in the form that a reader of the run sees.
struct SampleRecord {
  std::string prompt_id;
  std::string prompt;  // as the model saw it, special tokens included
  std::string response;
  std::optional<double> score;  // none if judging failed; `error` says why
  bool correct = false;
  std::map<std::string, double> components;  // by reward name
  // By reward name: [{"end", "value"}, ...] for the steps of the response. null: none.
  Json step_values;
  std::string answer;  // extracted from the response
  std::string ground_truth;
  std::string finish;  // data::finish_reason_name
  int64_t tokens = 0;
  std::string error;
  bool held_out = false;  // from an evaluation
};

struct RunLogOptions {
  bool tensorboard = true;
  bool fsync = false;  // after every step; without it a power failure may lose the last lines
  // The samples of `last_step` are already written, but its metrics are not.
  bool last_step_is_open = false;
  // A folder to which the existing data of later steps is moved, created if needed. Empty: that
  // data is deleted.
  std::filesystem::path later_steps_to = {};
  // The configuration, as TOML, for TensorBoard. Empty: none.
  std::string config = {};
};

// A run does not end because its log cannot be opened or written. Each of the five parts (metrics,
// TensorBoard, samples, warnings, events) instead logs one warning until it works again. Lines of
// events, and of metrics once their file is open, that cannot be written are kept for the next
// attempt. Movable only. Not thread-safe, but any thread may log warnings.
class RunLog {
 public:
  // Opens or creates the files below `directory`. Removes their contents for steps after
  // `last_step`, which is the step of the checkpoint to resume from, or -1 for a new run. Error:
  // the folder does not exist and cannot be created.
  static Result<RunLog> open(const std::filesystem::path& directory, int64_t last_step,
                             const RunLogOptions& options = {});

  // Warnings from now on belong to this step; before the first call, to the first step that is not
  // logged yet, which is 0 for a new run.
  void begin_step(int64_t step) { warnings_->begin_step(step); }
  void log(int64_t step, const Metrics& metrics);
  // The file appears with the first event.
  void log_events(int64_t step, const std::vector<RunEvent>& events);
  // Replaces the samples file of this step, or the evaluation's file if the samples are held out.
  void write_samples(int64_t step, const std::vector<SampleRecord>& samples);

 private:
  RunLog(std::filesystem::path directory, const RunLogOptions& options)
      : directory_(std::move(directory)), options_(options) {}
  std::filesystem::path metrics_file() const { return directory_ / "metrics.jsonl"; }
  std::filesystem::path cut_off_of(const char* name) const;
  void begin(int64_t last_step);
  Status drop_after(const char* name, int64_t last_step) const;
  Status open_metrics();
  Status open_tensorboard();
  Status write_metrics(int64_t step, const Metrics& metrics);
  Status write_tensorboard(int64_t step, const Metrics& metrics);
  Status write_events();
  void warn(const std::string& part, const Status& written);

  std::filesystem::path directory_;
  RunLogOptions options_;
  int64_t first_step_ = 0;
  std::set<std::string> failing_;  // names of the parts that do not work now
  std::optional<WarningsLog> warnings_;
  std::optional<MetricsLog> metrics_;
  std::optional<TensorBoardWriter> tensorboard_;
  std::optional<AppendFile> events_;
  std::string waiting_events_;  // lines that are not written yet
};

// Lines of JSON, without the newline.
std::string sample_line(int64_t step, const SampleRecord& sample);
std::string event_line(int64_t step, const RunEvent& event);

}  // namespace longshot

#include "base/run_log/run_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/os/fs.h"
#include "base/run_log/step_lines.h"

namespace longshot {
namespace {

constexpr char kMetrics[] = "metrics.jsonl", kWarnings[] = "warnings.jsonl",
               kEvents[] = "events.jsonl";
constexpr const char* kNames[] = {"samples", "held_out"};

std::filesystem::path samples_file(const std::filesystem::path& directory, int64_t step,
                                   bool held_out) {
  return directory / "samples" / fmt::format("{}_{:06d}.jsonl", kNames[held_out], step);
}

// Returns nothing for other file names: such files do not belong to the run log and are not
// deleted.
std::optional<int64_t> step_of_samples_file(const std::string& name) {
  for (const char* start : kNames) {
    long long step = 0;
    int consumed = 0;
    const std::string form = std::string(start) + "_%lld.jsonl%n";
    if (std::sscanf(name.c_str(), form.c_str(), &step, &consumed) != 1) continue;
    if (static_cast<size_t>(consumed) == name.size()) return step;
  }
  return {};
}

Status drop_samples_after(const std::filesystem::path& directory, int64_t last_step,
                          const std::filesystem::path& cut_off) {
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> names, list_files(directory / "samples"));
  for (const std::string& name : names) {
    const std::optional<int64_t> step = step_of_samples_file(name);
    if (!step || *step <= last_step) continue;
    const auto path = directory / "samples" / name;
    if (cut_off.empty()) {
      LS_RETURN_IF_ERROR(remove_tree(path));
      continue;
    }
    LS_RETURN_IF_ERROR(make_directories(cut_off / "samples"));
    LS_RETURN_IF_ERROR(rename_durable(path, cut_off / "samples" / name));
  }
  return ok_status();
}

constexpr size_t kSamplesOfText = 8;

// The first samples in Markdown. Their texts are code, because they may hold anything.
std::string samples_text(const std::vector<SampleRecord>& samples) {
  std::string out;
  const auto code = [&](const std::string& text) {
    out += "\n\n    ";
    for (const char c : text) out += c == '\n' ? std::string("\n    ") : std::string(1, c);
  };
  for (size_t i = 0; i < std::min(samples.size(), kSamplesOfText); ++i) {
    const SampleRecord& sample = samples[i];
    out += fmt::format("\n\n**{}**, {}", sample.prompt_id, sample.correct ? "right" : "wrong");
    code(sample.prompt);
    code(sample.response);
  }
  return out;
}

}  // namespace

std::string sample_line(int64_t step, const SampleRecord& sample) {
  OrderedJson line;
  line["step"] = step;
  line["prompt_id"] = sample.prompt_id;
  line["prompt"] = sample.prompt;
  line["response"] = sample.response;
  line["score"] = sample.score ? OrderedJson(*sample.score) : OrderedJson(nullptr);
  line["correct"] = sample.correct;
  line["components"] = sample.components;
  if (!sample.step_values.is_null()) line["step_values"] = OrderedJson(sample.step_values);
  line["answer"] = sample.answer;
  line["ground_truth"] = sample.ground_truth;
  line["finish"] = sample.finish;
  line["tokens"] = sample.tokens;
  line["error"] = sample.error;
  if (sample.held_out) line["part"] = "held-out";
  return dump_json(line);
}

std::string event_line(int64_t step, const RunEvent& event) {
  OrderedJson line;
  line["step"] = step;
  line["time"] = event.time;
  line["event"] = name_of(event.kind);
  line["worker"] = event.worker;
  line["host"] = event.host;
  line["address"] = event.address;
  line["samples"] = event.samples;
  line["cause"] = event.cause;
  return dump_json(line);
}

Result<RunLog> RunLog::open(const std::filesystem::path& directory, int64_t last_step,
                            const RunLogOptions& options) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  RunLog log(directory, options);
  log.begin(last_step);
  return log;
}

void RunLog::begin(int64_t last_step) {
  const int64_t last_logged = options_.last_step_is_open ? last_step - 1 : last_step;
  const auto& cut_off = options_.later_steps_to;
  first_step_ = last_logged + 1;
  warn(kWarnings, drop_after(kWarnings, last_step));
  warn(kEvents, drop_after(kEvents, last_step));
  warnings_.emplace(directory_ / kWarnings, first_step_);
  Status samples = make_directories(directory_ / "samples");
  if (samples.ok()) samples = drop_samples_after(directory_, last_step, cut_off);
  warn("samples", samples);
  warn(kMetrics, open_metrics());
  if (options_.tensorboard) warn("tensorboard", open_tensorboard());
}

Status RunLog::drop_after(const char* name, int64_t last_step) const {
  LS_RETURN_IF_ERROR(drop_lines_after(directory_ / name, last_step, cut_off_of(name)));
  return cut_unfinished_line(directory_ / name);
}

// Where the removed lines of a file go; empty if they are deleted.
std::filesystem::path RunLog::cut_off_of(const char* name) const {
  const auto& folder = options_.later_steps_to;
  return folder.empty() ? folder : folder / name;
}

Status RunLog::open_metrics() {
  if (metrics_) return ok_status();
  LS_RETURN_IF_ERROR(drop_lines_after(metrics_file(), first_step_ - 1, cut_off_of(kMetrics)));
  LS_ASSIGN_OR_RETURN(metrics_, MetricsLog::open(metrics_file()));
  return ok_status();
}

Status RunLog::open_tensorboard() {
  if (tensorboard_) return ok_status();
  LS_RETURN_IF_ERROR(make_directories(directory_ / "tensorboard"));
  LS_ASSIGN_OR_RETURN(tensorboard_,
                      TensorBoardWriter::create(directory_ / "tensorboard", first_step_));
  if (options_.config.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(const FlatSettings settings,
                      flat_settings(options_.config, "the configuration"));
  LS_RETURN_IF_ERROR(tensorboard_->append_settings(settings));
  return tensorboard_->append_text(first_step_, "config", "```\n" + options_.config + "\n```");
}

void RunLog::log(int64_t step, const Metrics& metrics) {
  warn(kMetrics, write_metrics(step, metrics));
  if (options_.tensorboard) warn("tensorboard", write_tensorboard(step, metrics));
}

void RunLog::log_events(int64_t step, const std::vector<RunEvent>& events) {
  for (const RunEvent& event : events) waiting_events_ += event_line(step, event) + "\n";
  warn(kEvents, write_events());
}

void RunLog::warn(const std::string& part, const Status& written) {
  if (written.ok()) {
    failing_.erase(part);
  } else if (failing_.insert(part).second) {
    log::warn("{}; the run continues without this part of its log", written.message());
  }
}

Status RunLog::write_metrics(int64_t step, const Metrics& metrics) {
  LS_RETURN_IF_ERROR(open_metrics());
  LS_RETURN_IF_ERROR(metrics_->append(step, metrics));
  return options_.fsync ? metrics_->sync() : ok_status();
}

Status RunLog::write_tensorboard(int64_t step, const Metrics& metrics) {
  LS_RETURN_IF_ERROR(open_tensorboard());
  LS_RETURN_IF_ERROR(tensorboard_->append(step, metrics));
  return options_.fsync ? tensorboard_->sync() : ok_status();
}

Status RunLog::write_events() {
  if (waiting_events_.empty()) return ok_status();
  if (!events_) {
    LS_ASSIGN_OR_RETURN(events_, AppendFile::open(directory_ / kEvents));
  }
  LS_RETURN_IF_ERROR(events_->append(waiting_events_));
  waiting_events_.clear();
  return options_.fsync ? events_->sync() : ok_status();
}

void RunLog::write_samples(int64_t step, const std::vector<SampleRecord>& samples) {
  std::string text;
  for (const SampleRecord& sample : samples) text += sample_line(step, sample) + "\n";
  const bool held_out = !samples.empty() && samples.front().held_out;
  if (held_out && tensorboard_)
    warn("tensorboard", tensorboard_->append_text(step, "held_out", samples_text(samples)));
  warn("samples", write_file_atomic(samples_file(directory_, step, held_out), text));
}

}  // namespace longshot

// longshot grade: scores rows of JSON lines with the reward functions of training.

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/os/output.h"
#include "base/os/stop.h"
#include "base/thread_pool.h"
#include "commands/command.h"
#include "commands/judge/judge.h"
#include "commands/judge/reward_types.h"
#include "commands/key_flags.h"
#include "config/sections/reward.h"
#include "datasets/gzip.h"
#include "datasets/prompts.h"
#include "datasets/schema.h"
#include "reward/reward.h"

namespace longshot::commands {
namespace {

struct GradeOptions {
  std::string input, output, python;
  std::vector<std::string> rewards;
  int threads = 1;
  config::RewardOptions reward;
};

// Reads lines from a file descriptor, whose data may be compressed with gzip. Each line is returned
// as soon as it is complete, so a program can grade through a pipe.
class LineReader {
 public:
  // `name` is for errors.
  LineReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  // False at the end of the input, on a read error (see status()) and when a stop is requested.
  bool next(std::string& line) {
    for (bool more = true;; more = status_.ok() && fill()) {
      const size_t newline = buffer_.find('\n', at_);
      if (newline != std::string::npos) {
        line.assign(buffer_, at_, newline - at_);
        at_ = newline + 1;
        return true;
      }
      if (!more) break;
    }
    line.assign(buffer_, at_, std::string::npos);
    at_ = buffer_.size();
    return !line.empty() && status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  bool fill() {
    buffer_.erase(0, at_);
    at_ = 0;
    while (!stop_requested()) {
      pollfd readable{fd_, POLLIN, 0};
      if (::poll(&readable, 1, 200) <= 0) continue;
      char chunk[65536];
      const ssize_t n = ::read(fd_, chunk, sizeof(chunk));
      if (n >= 0) return add({chunk, static_cast<size_t>(n)});
      if (errno != EINTR) {
        status_ = io_error(std::string("cannot read the input: ") + strerror(errno));
        return false;
      }
    }
    status_ = cancelled("stopped");
    return false;
  }

  // No bytes are the end of the input. False at the end and after damage.
  bool add(std::string_view bytes) {
    if (!begun_ && (bytes.starts_with(datasets::kGzipFirstByte) || name_.ends_with(".gz")))
      gzip_.emplace();
    begun_ = true;
    if (gzip_) {
      unpack(bytes);
    } else {
      buffer_.append(bytes);
    }
    return !bytes.empty() && status_.ok();
  }

  void unpack(std::string_view packed) {
    if (packed.empty()) gzip_->finish();
    char content[65536];
    for (size_t n = sizeof(content); n == sizeof(content);) {
      n = gzip_->unpack(packed, content);
      buffer_.append(content, n);
    }
    status_ = gzip_->status().with_context(name_);
  }

  const int fd_;
  const std::string name_;
  bool begun_ = false;
  std::optional<datasets::GzipDecoder> gzip_;
  std::string buffer_;
  size_t at_ = 0;
  Status status_;
};

// Prints results in the order of the rows while later rows are still being judged.
class OrderedWriter {
 public:
  OrderedWriter(Output& output, size_t window)
      : output_(output), window_(window), thread_([this] { work(); }) {}

  void push(std::future<std::string> line) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return lines_.size() < window_; });
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }

  // Waits until everything is printed.
  Status close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
    return status_;
  }

 private:
  void work() {
    constexpr size_t kBlock = 1 << 16;
    std::string text;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return closed_ || !lines_.empty(); });
      if (lines_.empty()) return;
      auto line = std::move(lines_.front());
      lock.unlock();
      text += line.get() + "\n";
      lock.lock();
      lines_.pop_front();
      changed_.notify_all();
      // A client that waits for an answer gets it at once; a stream of rows is written in blocks.
      const bool more = !lines_.empty() && is_ready(lines_.front());
      if (more && text.size() < kBlock) continue;
      if (status_.ok()) status_ = output_.write(text);
      text.clear();
    }
  }

  static bool is_ready(const std::future<std::string>& line) {
    return line.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  Output& output_;
  const size_t window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::future<std::string>> lines_;
  bool closed_ = false;
  Status status_;  // of the thread until it is joined
  std::thread thread_;
};

struct Row {
  data::Prompt prompt;
  data::Sample sample;
};

// Reads a text or a chat; most rewards need neither.
Status read_prompt(const Json& json, const std::string& where, data::Prompt& prompt) {
  if (!datasets::has(json, "prompt")) return {};
  const Json& given = json.at("prompt");
  if (given.is_string()) {
    prompt.text = given;
    return {};
  }
  LS_ASSIGN_OR_RETURN(prompt.messages, datasets::parse_messages(given, where + ": 'prompt'"));
  return {};
}

Result<Row> read_row(const std::string& line, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(line, where, {.max_depth = kMaxInputJsonDepth}));
  if (!json.is_object()) return invalid_argument(where + ": a row must be a JSON object");
  Row row;
  LS_ASSIGN_OR_RETURN(row.sample.text, json_get<std::string>(json, "completion", where));
  LS_ASSIGN_OR_RETURN(const bool answered,
                      datasets::read_reward_columns({json, where}, {}, row.prompt));
  if (!answered) return invalid_argument(where + ": key 'ground_truth' is missing");
  row.prompt.extra_info.erase("completion");
  LS_RETURN_IF_ERROR(read_prompt(json, where, row.prompt));
  row.sample.finish = data::FinishReason::stop;
  return row;
}

std::string result_line(const data::Verdict& verdict) {
  OrderedJson out;
  if (!verdict.scored) {
    out["error"] = verdict.error;
    return dump_json(out);
  }
  out["score"] = verdict.score;
  out["correct"] = verdict.correct;
  out["answer"] = verdict.answer;
  if (verdict.components.size() > 1) out["components"] = verdict.components;
  for (const auto& [reward, steps] : verdict.step_values)
    out["step_values"][reward] = OrderedJson(data::to_json(steps));
  return dump_json(out);
}

class Tally {
 public:
  std::atomic<long> rows{0}, correct{0}, errors{0};

  void add(const data::Verdict& verdict) {
    ++rows;
    if (verdict.correct) ++correct;
    if (verdict.scored) return;
    std::lock_guard lock(mutex_);
    if (errors++ == 0) first_error_ = verdict.error;
  }
  std::string first_error() const {
    std::lock_guard lock(mutex_);
    return first_error_;
  }

 private:
  mutable std::mutex mutex_;
  std::string first_error_;
};

Status grade_rows(const GradeOptions& options, int input, Output& output,
                  reward::RewardStage& stage, Tally& tally) {
  const std::string name = options.input.empty() ? "stdin" : options.input;
  LineReader reader(input, name);
  OrderedWriter writer(output, static_cast<size_t>(options.threads) * 64);
  Status status;
  {
    // submit() runs tasks on the pool's helper threads only, so the pool gets one thread more than
    // requested.
    ThreadPool pool(options.threads == 1 ? 1 : options.threads + 1);
    std::string line;
    for (long number = 1; status.ok() && reader.next(line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      auto row = read_row(line, name + ":" + std::to_string(number));
      if (!row.ok()) {
        status = row.status();
        break;
      }
      auto task = std::make_shared<std::packaged_task<std::string()>>(
          [&stage, &tally, row = std::make_shared<Row>(std::move(row).value())] {
            const auto verdict = stage.judge({&row->prompt}, {&row->sample})[0];
            tally.add(verdict);
            return result_line(verdict);
          });
      writer.push(task->get_future());
      pool.submit([task] { (*task)(); });
    }
    if (status.ok()) status = reader.status();
  }
  const Status written = writer.close();
  return status.ok() ? written : status;
}

Result<reward::RewardOptions> reward_options(const GradeOptions& options) {
  std::vector<std::string> words = options.rewards;
  if (!options.python.empty())
    words.push_back(dump_json(Json{{"type", "python"}, {"path", options.python}}));
  reward::RewardOptions out = options.reward.stage;
  LS_ASSIGN_OR_RETURN(out.rewards, parse_rewards(words));
  return out;
}

// Writing to this file would destroy the rows that are still to be read. A terminal may be both
// input and output.
bool is_same_file(int a, int b) {
  struct stat first {
  }, second{};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && S_ISREG(first.st_mode) &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

Status grade(const GradeOptions& options) {
  LS_ASSIGN_OR_RETURN(const auto rewards, reward_options(options));
  LS_ASSIGN_OR_RETURN(const auto stage, reward::RewardStage::create(rewards));
  const bool from_file = !options.input.empty() && options.input != "-";
  const int input = from_file ? ::open(options.input.c_str(), O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
  if (input < 0) return not_found("cannot open '" + options.input + "': " + strerror(errno));
  LS_ASSIGN_OR_RETURN(Output output, Output::open(options.output, Output::Kind::stream));
  if (is_same_file(input, output.descriptor()))
    return invalid_argument("'" + options.input + "' cannot be both input and output");
  Tally tally;
  Status status = grade_rows(options, input, output, *stage, tally);
  const Status written = output.finish();
  if (status.ok()) status = written;
  if (from_file) ::close(input);
  std::fprintf(stderr, "graded %ld rows: %ld correct, %ld errors\n", tally.rows.load(),
               tally.correct.load(), tally.errors.load());
  if (!status.ok() || tally.errors == 0 || tally.errors < tally.rows) return status;
  return invalid_argument("no row could be judged; the first: " + tally.first_error());
}

}  // namespace

void add_grade(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<GradeOptions>();
  auto* command = app.add_subcommand("grade", "Score answers with any reward, in their order");
  command->footer(
      "Input rows: {\"completion\", \"ground_truth\", \"data_source\"?, \"extra_info\"?, "
      "\"prompt\"?}.\n"
      "Output rows: {\"score\", \"correct\", \"answer\"}, with \"components\" and "
      "\"step_values\" if there are any, or {\"error\"}. A row that cannot be read "
      "ends the command with exit code 2, and so do rewards that can judge no row at all.");
  command->add_option("--input,-i", options->input,
                      "rows, also of a .gz file; default stdin, also -");
  command->add_option("--output,-o", options->output, "results; default stdout, also -");
  command->add_option("--reward,-r", options->rewards,
                      "a reward function: auto (default), math, choice, countdown, exact, "
                      "reasoning_gym, code, \"type:weight\", "
                      "or a JSON object with its options; repeatable");
  command->add_option(
      "--python", options->python,
      "a Python file with compute_score(data_source, solution_str, ground_truth, extra_info)");
  command->add_option("--threads,-j", options->threads, "rows judged at once")
      ->check(CLI::Range(1, 1024));
  Settings keys;
  config::bind(keys, options->reward, reward_types());
  add_key_flags(*command, keys, {{"--timeout", "reward.timeout"}, {"--retries", "reward.retries"}});
  command->callback([options, &exit_code] { exit_code = finish([&] { return grade(*options); }); });
}

}  // namespace longshot::commands

// longshot make-tests: test cases for programming problems that have none.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/folder_lock.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "base/progress_line.h"
#include "commands/command.h"
#include "commands/data/data.h"
#include "commands/model/inference.h"
#include "curate/tests/make_all.h"
#include "curate/tests/model_author.h"
#include "curate/tests/url_author.h"

namespace longshot::commands {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string output;
  InferenceOptions inference;
  curate::UrlAuthorOptions url;
  curate::RunOptions run;
  curate::ProgramLimits limits;
  sandbox::PoolOptions pool;
};

// The author of generators and the model files that it refers to.
struct LoadedAuthor {
  model::ModelFiles files;
  std::unique_ptr<curate::Author> author;
};

// The interpreter for which tools/setup has installed cyaron; otherwise the sandbox's default.
std::string default_python() {
  const char* venv = std::getenv("LONGSHOT_VENV");
  const std::filesystem::path python =
      std::filesystem::path(venv == nullptr || *venv == '\0' ? LONGSHOT_VENV : venv) / "bin/python";
  std::error_code error;
  return std::filesystem::exists(python, error) ? python.string() : "";
}

bool needs_author(const std::vector<curate::Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const auto& problem) { return problem.generator.empty(); });
}

Status check(const Options& options, const std::vector<curate::Problem>& problems) {
  const auto& make = options.run.make;
  LS_RETURN_IF_ERROR(check_thresholds(make.thresholds));
  if (!needs_author(problems)) return ok_status();
  if (options.inference.model.path.empty() && options.url.url.empty()) {
    return invalid_argument(
        "there are problems without a generator: give --model DIR or --url http://.../v1 to have "
        "generators written");
  }
  if (!options.url.url.empty() && options.inference.model.path.empty())
    return invalid_argument("--url needs --model: the name that the service has for its model");
  if (make.attempts > 1 && options.inference.sampling.temperature == 0)
    return invalid_argument("--temperature 0 gives the same generator again: use --attempts 1");
  return ok_status();
}

// Leaves out the address, because a service may have moved.
OrderedJson author_settings(const Options& options) {
  const auto& sampling = options.inference.sampling;
  OrderedJson json = {
      {"model", options.inference.model.path},      {"system", options.inference.system},
      {"temperature", sampling.temperature},        {"top_p", sampling.top_p},
      {"max_tokens", sampling.max_response_length}, {"stop", sampling.stop_strings}};
  if (!options.url.url.empty()) return json;
  json["top_k"] = sampling.top_k;
  json["min_p"] = sampling.min_p;
  json["device"] = options.inference.engine.device;
  json["dtype"] = name_of(options.inference.engine.dtype);
  json["kv_dtype"] = name_of(options.inference.engine.kv_dtype);
  return json;
}

// Many problems wait for a model while few of them run programs.
void choose_concurrency(Options& options) {
  constexpr int kMinConcurrency = 16;
  if (options.pool.slots == 0) options.pool.slots = 2 * usable_cores(inspect_machine());
  if (options.run.concurrency == 0)
    options.run.concurrency = std::max(kMinConcurrency, options.pool.slots);
  options.pool.max_waiting = options.run.concurrency;
}

// All settings that a result depends on.
OrderedJson settings_of(const Options& options, bool with_author) {
  const auto& make = options.run.make;
  const auto& t = make.thresholds;
  OrderedJson json = {{"cases", t.cases},
                      {"submissions", t.submissions},
                      {"min_agree", t.min_agree},
                      {"min_valid", t.min_valid},
                      {"min_passing", t.min_passing},
                      {"attempts", make.attempts},
                      {"seed", make.seed},
                      {"instruction", options.run.instruction},
                      {"generator_seconds", options.limits.generator_seconds},
                      {"submission_seconds", options.limits.submission_seconds},
                      {"memory_mb", options.limits.memory_mb},
                      {"max_kb", options.limits.max_kb}};
  if (with_author) json.update(author_settings(options));
  return json;
}

// Limits that fit the longest request and its answer.
Result<rollout::RunnerLimits> runner_limits(Options& options, const model::ModelFiles& files,
                                            const std::vector<curate::Problem>& problems) {
  curate::GeneratorRules rules = options.run.make.rules;
  rules.cases = options.run.make.thresholds.cases;
  size_t longest = 0;
  for (const auto& problem : problems) {
    if (!problem.generator.empty()) continue;
    LS_ASSIGN_OR_RETURN(
        const auto tokens,
        curate::encode_request(*files.tokenizer, files.chat_template, options.inference.system,
                               curate::generator_request(problem.statement, rules)));
    longest = std::max(longest, tokens.size());
  }
  rollout::RunnerLimits limits;
  limits.max_running = options.run.concurrency;
  int& response = options.inference.sampling.max_response_length;
  if (options.inference.has_default_length())
    inference::fit_default_response(files.config, static_cast<int>(longest), response);
  limits.max_sequence = static_cast<int>(longest) + response;
  inference::warn_of_positions(files.config, limits.max_sequence, "request and answer");
  return limits;
}

Status load_model_author(Options& options, const std::vector<curate::Problem>& problems,
                         LoadedAuthor& loaded) {
  LS_ASSIGN_OR_RETURN(loaded.files, load_for_inference(options.inference));
  LS_ASSIGN_OR_RETURN(const auto limits, runner_limits(options, loaded.files, problems));
  LS_ASSIGN_OR_RETURN(auto engine,
                      inference::open_engine(options.inference.model, options.inference.engine,
                                             loaded.files, limits));
  auto worker = std::make_unique<rollout::EngineThread>(
      std::move(engine), rollout::EngineThreadOptions{.max_waiting = options.run.concurrency});
  loaded.author = curate::make_model_author(std::move(worker), *loaded.files.tokenizer,
                                            loaded.files.chat_template,
                                            {.system = options.inference.system,
                                             .sampling = options.inference.sampling,
                                             .seed = options.inference.seed,
                                             .timeout_seconds = options.url.timeout_seconds});
  return ok_status();
}

Status load_url_author(Options& options, bool seeded, LoadedAuthor& loaded) {
  const auto& sampling = options.inference.sampling;
  options.url.model = options.inference.model.path;
  options.url.system = options.inference.system;
  options.url.temperature = sampling.temperature;
  options.url.top_p = sampling.top_p;
  options.url.max_tokens = sampling.max_response_length;
  options.url.stop = sampling.stop_strings;
  if (seeded) options.url.seed = options.inference.seed;
  const char* key = std::getenv("OPENAI_API_KEY");
  if (options.url.api_key.empty() && key != nullptr) options.url.api_key = key;
  LS_ASSIGN_OR_RETURN(loaded.author, curate::make_url_author(options.url));
  return ok_status();
}

// The progress of this run.
class Reporter {
 public:
  explicit Reporter(int64_t left) { line_.start(0, left); }
  void add(const curate::Record& record) {
    funnel_.add(record.state, record.reason);
    if (record.state == curate::State::error)
      log::warn("{}: not judged: {}", record.id, record.message);
    const int dropped = funnel_.statements - funnel_.problems - funnel_.errors;
    const double rate = ++done_ / std::max(since_start_.seconds(), 1e-9);
    const std::string text = fmt::format("{:.2f} problems/s, kept {}, dropped {}, errors {}", rate,
                                         funnel_.problems, dropped, funnel_.errors);
    if (terminal_ || since_line_.seconds() < kLineSeconds) return line_.update(done_, text);
    since_line_.restart();
    line_.finish(done_, text);
  }
  void clear() { line_.clear(); }

 private:
  static constexpr double kLineSeconds = 10;  // between lines if stderr is a file
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  curate::Funnel funnel_;
  int64_t done_ = 0;
  ProgressLine line_;
  Stopwatch since_start_, since_line_;
};

Status errors_status(const curate::Funnel& funnel) {
  if (funnel.errors == 0) return ok_status();
  return unavailable(fmt::format(
      "{} problems could not be judged; the same command tries them again", funnel.errors));
}

Status run(Options& options, bool seeded) {
  LS_ASSIGN_OR_RETURN(const auto problems, curate::read_problems(options.files));
  LS_RETURN_IF_ERROR(check(options, problems));
  auto& make = options.run.make;
  make.seed = options.inference.seed;
  make.rules.seconds = options.limits.generator_seconds;
  make.rules.max_kb = options.limits.max_kb;
  choose_concurrency(options);
  if (options.pool.python.empty()) options.pool.python = default_python();
  const bool with_author = needs_author(problems);
  LS_ASSIGN_OR_RETURN(const auto programs,
                      curate::make_sandbox_programs(options.pool, options.limits));
  LS_ASSIGN_OR_RETURN(const auto lock, FolderLock::take(options.output));
  LoadedAuthor loaded;
  if (with_author) {
    LS_RETURN_IF_ERROR(options.url.url.empty() ? load_model_author(options, problems, loaded)
                                               : load_url_author(options, seeded, loaded));
  }
  LS_ASSIGN_OR_RETURN(auto journal,
                      curate::Journal::open(options.output, settings_of(options, with_author)));
  Reporter reporter(
      std::count_if(problems.begin(), problems.end(),
                    [&](const curate::Problem& problem) { return !journal.is_done(problem); }));
  const Status made = make_all(problems, options.run, loaded.author.get(), *programs, journal,
                               [&](const curate::Record& record) { reporter.add(record); });
  reporter.clear();
  LS_RETURN_IF_ERROR(journal.write_results(problems));
  int left = 0;
  const curate::Funnel funnel = journal.funnel(problems, &left);
  fmt::print("{}", curate::format_table(funnel, make.thresholds, left));
  fmt::print("{} and {}\n", journal.tests_path().string(), journal.report_path().string());
  return made.ok() ? errors_status(funnel) : made;
}

void add_thresholds(CLI::App& command, curate::RunOptions& run) {
  curate::Thresholds& t = run.make.thresholds;
  command.add_option("--cases", t.cases, "test cases a generator is run for")
      ->capture_default_str();
  command
      .add_option("--submissions", t.submissions, "the first N of a problem are run on each case")
      ->capture_default_str();
  command
      .add_option("--min-agree", t.min_agree, "a case is valid if N submissions give one output")
      ->capture_default_str();
  command.add_option("--min-valid", t.min_valid, "a generator counts if N of its cases are valid")
      ->capture_default_str();
  command
      .add_option("--min-passing", t.min_passing,
                  "a problem is kept if N submissions pass all valid cases")
      ->capture_default_str();
  command
      .add_option("--attempts", run.make.attempts,
                  "generators asked for, until one has enough valid cases")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void add_sandbox_options(CLI::App& command, Options& options) {
  command.add_option(
      "--python", options.pool.python,
      "interpreter that has cyaron; default: $LONGSHOT_VENV/bin/python, else that of "
      "tools/setup");
  command
      .add_option("--show", options.pool.directories,
                  "a directory that programs see read-only, in addition to /usr; may be repeated")
      ->expected(1)
      ->take_all();
  command
      .add_option("--slots", options.pool.slots, "programs run at once; 0 = twice the processors")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      .add_option("--generator-seconds", options.limits.generator_seconds,
                  "processor time of a generator's run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--run-seconds", options.limits.submission_seconds,
                  "processor time of a submission's run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--memory-mb", options.limits.memory_mb, "memory of a run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--max-kb", options.limits.max_kb, "longest input, and longest output, of a case")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

void add_url_options(CLI::App& command, Options& options) {
  CLI::Option* url =
      command.add_option("--url", options.url.url,
                         "a service with OpenAI's API, such as http://127.0.0.1:8000/v1; --model "
                         "is its name of the model");
  // These options are not part of that API.
  for (const char* own : {"--threads", "--device", "--dtype", "--kv-dtype", "--top-k", "--min-p"})
    command.get_option(own)->excludes(url);
  command.add_option("--api-key", options.url.api_key, "its key; default: $OPENAI_API_KEY")
      ->needs(url);
  command
      .add_option("--ask-timeout", options.url.timeout_seconds,
                  "seconds for one answer of the model")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--ask-retries", options.url.retries,
                  "after a failure of the service, 1, 2, 4, ... seconds later")
      ->check(CLI::Range(0, 100))
      ->needs(url)
      ->capture_default_str();
}

}  // namespace

void add_make_tests(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  options->inference.sampling.max_response_length = 2048;
  options->run.instruction = curate::kDefaultInstruction;
  CLI::App* command = app.add_subcommand("make-tests", "Make test cases for programming problems");
  command->footer(
      "A model writes generators of inputs, and the submissions judge them.\n"
      "Input rows: {\"id\", \"statement\", \"submissions\": [{\"language\", \"code\"} or code], "
      "\"special_judge\"?, \"generator\"?}. The same command continues where it was stopped; "
      "docs/make-tests.md.");
  command->add_option("problems", options->files, "JSONL or parquet files")->required();
  command
      ->add_option("--out", options->output, "folder for tests.jsonl, report.json, journal.jsonl")
      ->required();
  add_inference_options(*command, options->inference);
  command->get_option("--model")->required(false);
  // The engine thread does not speculate.
  command->remove_option(command->get_option("--speculation"));
  command->get_option("--seed")->description("of the cases, and of a model's answers");
  add_url_options(*command, *options);
  add_thresholds(*command, options->run);
  add_sandbox_options(*command, *options);
  command
      ->add_option("--instruction", options->run.instruction,
                   "put after the statement in the rows that are made; empty: nothing")
      ->capture_default_str();
  command
      ->add_option("--concurrency", options->run.concurrency,
                   "problems at once; 0 = --slots, at least 16")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->callback([options, command, &exit_code] {
    exit_code = finish([&] { return run(*options, command->count("--seed") > 0); });
  });
}

}  // namespace longshot::commands

#include "reward/external/external.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "python_worker.h"
#include "reward/external/process_pool.h"
#include "reward/rules/rules.h"

namespace longshot::reward {
namespace {

constexpr size_t kLoggedBytes = 1 << 16;  // at most this much of a call's output is logged

Json python_request(const Question& question) {
  Json request = plugin_request(question);
  for (const data::Message& message : question.messages)
    request["messages"].push_back(Json(data::to_json(message)));
  return request;
}

class WorkerReward : public Reward {
 public:
  using Request = Json (*)(const Question&);
  WorkerReward(std::string name, ProcessOptions options, double threshold, Request request)
      : name_(std::move(name)),
        who_(options.name),
        threshold_(threshold),
        request_(request),
        pool_(std::move(options)) {}
  std::string name() const override { return name_; }
  Status prepare() override { return pool_.prepare(); }

  Result<Score> judge(const Question& question, Deadline deadline) override {
    LS_ASSIGN_OR_RETURN(const Json reply, pool_.call(request_(question), deadline));
    return plugin_score(reply, question.completion, who_, threshold_);
  }

 private:
  std::string name_, who_;
  double threshold_;
  Request request_;
  ProcessPool pool_;
};

Result<std::vector<std::pair<std::string, std::string>>> read_environment(
    const Json& options, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const auto map, (json_get_or<std::map<std::string, std::string>>(
                                          options, "environment", {}, where)));
  return std::vector<std::pair<std::string, std::string>>(map.begin(), map.end());
}

std::string default_interpreter() {
  const char* venv = std::getenv("LONGSHOT_VENV");
  if (venv == nullptr || *venv == '\0') return "python3";
  return (std::filesystem::path(venv) / "bin" / "python").string();
}

}  // namespace

Json plugin_request(const Question& question) {
  return {{"data_source", question.data_source},
          {"prompt", question.prompt},
          {"completion", question.completion},
          {"ground_truth", question.ground_truth_json.is_null() ? Json(question.ground_truth)
                                                                : question.ground_truth_json},
          {"extra_info", question.extra_info}};
}

Result<double> read_threshold(const Json& options, const std::string& where) {
  return json_get_or(options, "threshold", kFullScore, where);
}

namespace {

// The share of passed tests, as a float, may be a little below 1.
bool reaches(double value, double threshold) {
  return value >= threshold - 1e-9 * std::max(1.0, std::fabs(threshold));
}

Result<bool> is_correct(const Json& reply, double value, double threshold, const std::string& who) {
  const auto given = reply.find("correct");
  if (given == reply.end() || given->is_null()) return reaches(value, threshold);
  if (given->is_boolean()) return given->get<bool>();
  if (given->is_number()) return reaches(given->get<double>(), threshold);
  return corrupt(who + ": 'correct' is neither true, false nor a number: " + dump_json(*given));
}

Result<std::vector<data::StepValue>> read_steps(const Json& reply, const std::string& completion,
                                                const std::string& who) {
  const Json given = reply.value("step_values", Json());
  if (given.is_null()) return std::vector<data::StepValue>();
  const std::string where = who + ": 'step_values'";
  auto steps = data::step_values_from_json(given, where);
  if (!steps.ok()) return corrupt(steps.status().message());
  const int characters = data::count_characters(completion);
  if (!steps->empty() && steps->back().end > characters)
    return corrupt(where + ": the last step ends at character " +
                   std::to_string(steps->back().end) + ", but the completion has " +
                   std::to_string(characters));
  return steps;
}

}  // namespace

Result<Score> plugin_score(const Json& reply, const std::string& completion, const std::string& who,
                           double threshold) {
  if (const auto error = reply.find("error"); error != reply.end() && !error->is_null()) {
    return invalid_argument(who + ": " +
                            (error->is_string() ? error->get<std::string>() : dump_json(*error)));
  }
  if (const auto applies = reply.find("applies");
      applies != reply.end() && applies->is_boolean() && !applies->get<bool>()) {
    return Score{.applies = false};
  }
  const Json given = reply.value("score", Json());
  if (!number_of(given) && !given.is_boolean()) {
    return corrupt(who + ": the reply has neither a numeric score nor an error: " +
                   dump_json(reply).substr(0, 200));
  }
  Score score;
  score.value = given.is_boolean() ? (given.get<bool>() ? 1.0 : 0.0) : *number_of(given);
  if (!std::isfinite(score.value)) return corrupt(who + ": the score is not finite");
  LS_ASSIGN_OR_RETURN(score.correct, is_correct(reply, score.value, threshold, who));
  LS_ASSIGN_OR_RETURN(score.answer, json_get_or<std::string>(reply, "answer", "", who));
  LS_ASSIGN_OR_RETURN(score.step_values, read_steps(reply, completion, who));
  for (const auto& [name, value] : reply.items()) {
    if (name == "score" || name == "correct" || name == "answer" || name == "step_values") continue;
    const auto figure = value.is_boolean() ? value.get<bool>() : number_of(value);
    if (figure && std::isfinite(*figure)) score.figures[name] = *figure;
  }
  return score;
}

Result<std::unique_ptr<Reward>> make_python(const Json& options) {
  const std::string where = "reward python";
  LS_RETURN_IF_ERROR(check_options("python", options,
                                   {"path", "function", "interpreter", "startup_seconds",
                                    "environment", "reward_kwargs", "threshold"}));
  LS_ASSIGN_OR_RETURN(const std::string path, json_get<std::string>(options, "path", where));
  LS_ASSIGN_OR_RETURN(const std::string function,
                      json_get_or<std::string>(options, "function", "compute_score", where));
  LS_ASSIGN_OR_RETURN(
      const std::string interpreter,
      json_get_or<std::string>(options, "interpreter", default_interpreter(), where));
  std::error_code error;
  if (!path.starts_with("pkg://") && !std::filesystem::is_regular_file(path, error))
    return not_found(where + ": no file '" + path + "'");
  ProcessOptions worker;
  worker.name = "python " + path;
  worker.announces = true;
  LS_ASSIGN_OR_RETURN(worker.startup_seconds,
                      json_get_or(options, "startup_seconds", 120.0, where));
  LS_ASSIGN_OR_RETURN(worker.process.environment, read_environment(options, where));
  const Json fixed = options.value("reward_kwargs", Json::object());
  if (!fixed.is_object()) return invalid_argument(where + ": reward_kwargs must be an object");
  worker.process.argv = {interpreter, "-c", kPythonWorker, path, function, dump_json(fixed)};
  worker.process.stderr_tail_bytes = kLoggedBytes;
  LS_ASSIGN_OR_RETURN(const double threshold, read_threshold(options, where));
  return std::unique_ptr<Reward>(
      std::make_unique<WorkerReward>("python", std::move(worker), threshold, python_request));
}

Result<std::unique_ptr<Reward>> make_command(const Json& options) {
  const std::string where = "reward command";
  LS_RETURN_IF_ERROR(check_options("command", options, {"argv", "environment", "threshold"}));
  ProcessOptions worker;
  LS_ASSIGN_OR_RETURN(worker.process.argv,
                      json_get<std::vector<std::string>>(options, "argv", where));
  if (worker.process.argv.empty()) return invalid_argument(where + ": argv is empty");
  LS_ASSIGN_OR_RETURN(worker.process.environment, read_environment(options, where));
  worker.name = "command " + worker.process.argv[0];
  worker.process.stderr_tail_bytes = kLoggedBytes;
  LS_ASSIGN_OR_RETURN(const double threshold, read_threshold(options, where));
  return std::unique_ptr<Reward>(
      std::make_unique<WorkerReward>("command", std::move(worker), threshold, plugin_request));
}

}  // namespace longshot::reward

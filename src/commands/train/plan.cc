#include "commands/train/plan.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/os/clock.h"
#include "commands/judge/reward_types.h"
#include "commands/train/config_arguments.h"
#include "loop/plan/cluster_plan.h"

namespace longshot::commands {
namespace {

using loop::ForecastItem;

void print_items(const std::vector<ForecastItem>& items, double unit, const char* name) {
  for (const ForecastItem& item : items)
    fmt::print("        {:<16} {:8.2f} {:<4} {}\n", item.name, item.value / unit, name, item.note);
}

void print_forecast_text(const loop::CostForecast& forecast) {
  fmt::print("{}: {:.1f} M parameters, {:.1f} M of them trainable\n", forecast.model,
             static_cast<double>(forecast.memory.parameters) / 1e6,
             static_cast<double>(forecast.memory.trained) / 1e6);
  fmt::print("{:<5} memory      {:.2f} GiB at the peak, {:.2f} usable; {} is {:.2f}\n",
             forecast.fits() ? "ok" : "warn", forecast.memory_peak() / kGiB,
             forecast.memory_at_hand / kGiB, forecast.limit.name, forecast.limit.bytes / kGiB);
  print_items(forecast.memory.items, kGiB, "GiB");
  if (!forecast.fits()) {
    fmt::print(
        "        -> fewer algorithm.micro_batch_tokens, trainer.checkpointing=full, "
        "optim.moments=int8, model.lora_rank, rollout.kv_dtype=int8 or fewer "
        "rollout.max_concurrent\n");
  }
  const bool room = forecast.disk.run <= forecast.disk.free;
  fmt::print("{:<5} disk        {:.2f} GiB for checkpoints of {:.2f} GiB each, {:.2f} free\n",
             room ? "ok" : "warn", forecast.disk.run / kGiB, forecast.disk.checkpoint / kGiB,
             forecast.disk.free / kGiB);
  if (forecast.seconds.empty()) {
    fmt::print("warn  time        not tried: the memory does not suffice\n");
    return;
  }
  fmt::print(
      "ok    time        {:.1f} s an iteration, {} for all {}, rewards and evaluations not "
      "counted\n",
      forecast.iteration_seconds(), format_duration(forecast.run_seconds()), forecast.iterations);
  print_items(forecast.seconds, 1, "s");
}

OrderedJson values_of(const std::vector<ForecastItem>& items) {
  OrderedJson values = OrderedJson::object();
  for (const ForecastItem& item : items) values[item.name] = item.value;
  return values;
}

void print_forecast_json(const loop::CostForecast& forecast) {
  OrderedJson json = {{"model", forecast.model},
                      {"parameters", forecast.memory.parameters},
                      {"trained_parameters", forecast.memory.trained},
                      {"response_length", forecast.response_length},
                      {"iterations", forecast.iterations},
                      {"fits", forecast.fits()},
                      {"memory_bytes", values_of(forecast.memory.items)},
                      {"memory_peak_bytes", forecast.memory_peak()},
                      {"memory_usable_bytes", forecast.memory_at_hand},
                      {"memory_limit_bytes", forecast.limit.bytes},
                      {"memory_limit", forecast.limit.name},
                      {"checkpoint_bytes", forecast.disk.checkpoint},
                      {"disk_bytes", forecast.disk.run},
                      {"disk_free_bytes", forecast.disk.free},
                      {"seconds", values_of(forecast.seconds)}};
  if (!forecast.seconds.empty()) {
    json["iteration_seconds"] = forecast.iteration_seconds();
    json["run_seconds"] = forecast.run_seconds();
  }
  fmt::print("{}\n", dump_json(json));
}

void print_memory(const char* name, const std::vector<ForecastItem>& items) {
  if (items.empty()) return;
  fmt::print("      {:<12} {:.2f} GiB\n", name, loop::total(items) / kGiB);
  print_items(items, kGiB, "GiB");
}

void print_rows(const loop::ClusterPlan& plan) {
  fmt::print("      {:>7} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>8} {:>8} {:>10}\n", "workers",
             "weights s", "rollout s", "reward s", "update s", "together s", "tokens/s", "trainer",
             "workers", "intake");
  for (const loop::ClusterRow& row : plan.rows) {
    fmt::print(
        "{:>5} {:>7} {:9.2f} {:9.2f} {:9.2f} {:9.2f} {:10.2f} {:9.0f} {:6.0f} % {:6.0f} % {:5.1f} "
        "MB/s\n",
        row.workers == plan.hosts.workers() ? "->" : "", row.workers, row.weights, row.rollout,
        row.reward, row.update, row.iteration, row.tokens, 100 * row.trainer_idle,
        100 * row.worker_idle, row.intake / 1e6);
  }
}

void print_advice(const loop::ClusterPlan& plan) {
  const size_t last = loop::enough_workers(plan.rows);
  if (last < plan.rows.size()) {
    fmt::print("      -> twice as many workers as {} would save less than 10 % of an iteration\n",
               plan.rows[last].workers);
  }
  if (plan.staleness > 0)
    fmt::print(
        "      cluster.staleness = 1: the rollout of an iteration is at the time of the update "
        "before\n");
}

void print_cluster_text(const loop::ClusterPlan& plan) {
  fmt::print("{} workers and {} trainers, samples of {:.0f} tokens on average\n",
             plan.hosts.workers(), plan.hosts.trainers.count, plan.size.response);
  fmt::print("memory of a process, apart from what it shares with others of its host\n");
  print_memory("coordinator", plan.memory.coordinator);
  print_memory("trainer", plan.memory.trainer);
  print_memory("worker", plan.memory.worker);
  if (plan.rows.empty()) {
    fmt::print(
        "warn  time        not tried: the memory of this machine does not suffice; [costs] "
        "in the file of --hosts replaces the trial\n");
    return;
  }
  fmt::print("time of an iteration, from {}; the shares are idle time\n", plan.costs_from);
  print_rows(plan);
  print_advice(plan);
}

OrderedJson json_of(const loop::ClusterRow& row) {
  return {{"workers", row.workers},
          {"weights_seconds", row.weights},
          {"write_seconds", row.write},
          {"rollout_seconds", row.rollout},
          {"reward_seconds", row.reward},
          {"update_seconds", row.update},
          {"iteration_seconds", row.iteration},
          {"trainer_idle", row.trainer_idle},
          {"worker_idle", row.worker_idle},
          {"tokens_per_second", row.tokens},
          {"intake_bytes_per_second", row.intake}};
}

OrderedJson json_of(const loop::PlanCosts& costs) {
  OrderedJson steps = OrderedJson::array();
  for (const auto& [running, seconds] : costs.steps.points)
    steps.push_back(OrderedJson::array({running, seconds}));
  return {{"steps", steps},
          {"prompt_token", costs.steps.prompt_token},
          {"context", costs.steps.context},
          {"update", costs.update},
          {"write", costs.write},
          {"load", costs.load},
          {"reward", costs.reward},
          {"message", costs.message}};
}

void print_cluster_json(const loop::ClusterPlan& plan) {
  OrderedJson memory = {{"coordinator", values_of(plan.memory.coordinator)},
                        {"trainer", values_of(plan.memory.trainer)},
                        {"worker", values_of(plan.memory.worker)}};
  OrderedJson json = {{"workers", plan.hosts.workers()},
                      {"trainers", plan.hosts.trainers.count},
                      {"staleness", plan.staleness},
                      {"response_length", plan.size.response},
                      {"version_bytes", plan.memory.version_bytes},
                      {"memory_bytes", memory}};
  if (!plan.rows.empty()) {
    const size_t last = loop::enough_workers(plan.rows);
    json["costs_from"] = plan.costs_from;
    json["costs"] = json_of(plan.costs);
    for (const loop::ClusterRow& row : plan.rows) json["rows"].push_back(json_of(row));
    json["enough_workers"] =
        last < plan.rows.size() ? OrderedJson(plan.rows[last].workers) : OrderedJson();
  }
  fmt::print("{}\n", dump_json(json));
}

Status check(const PlanArguments& a) {
  if (!a.hosts.empty() && (a.workers > 0 || a.trainers > 0))
    return invalid_argument("--hosts describes all machines: leave out --workers and --trainers");
  if (!a.many_machines() && (!a.measured.empty() || a.response_spread > 0))
    return invalid_argument(
        "--measured and --response-spread are for a run on many machines: add --hosts or "
        "--workers");
  const bool given =
      a.response_spread > 0 || a.forecast.response_length > 0 || a.forecast.flat_groups > 0;
  if (!a.measured.empty() && given)
    return invalid_argument(
        "--measured says how long responses are and how many groups are flat: leave out "
        "--response-length, --response-spread and --flat-groups");
  return ok_status();
}

Result<loop::ClusterOptions> cluster_options(const PlanArguments& arguments,
                                             const std::string& config_text, bool filters) {
  loop::ClusterOptions options;
  options.forecast = arguments.forecast;
  options.response_spread = arguments.response_spread;
  if (arguments.hosts.empty()) {
    LS_ASSIGN_OR_RETURN(options.hosts, loop::equal_hosts(std::max(1, arguments.trainers),
                                                         std::max(1, arguments.workers)));
  } else {
    LS_ASSIGN_OR_RETURN(options.hosts, loop::read_hosts(arguments.hosts));
  }
  if (arguments.measured.empty()) return options;
  if (options.hosts.costs)
    return invalid_argument("--measured RUN and [costs] in " + arguments.hosts +
                            " both say what an iteration costs: leave out one of them");
  LS_ASSIGN_OR_RETURN(options.measured,
                      loop::read_measured_run(arguments.measured, config_text, filters));
  return options;
}

}  // namespace

bool PlanArguments::any_option() const {
  return !model.empty() || !overrides.empty() || forecast.response_length > 0 ||
         forecast.flat_groups > 0 || many_machines() || !measured.empty() || response_spread > 0;
}

Status print_plan(const PlanArguments& arguments, bool json) {
  LS_RETURN_IF_ERROR(check(arguments));
  ConfigArguments run;
  run.file = arguments.file;
  run.overrides = arguments.overrides;
  if (!arguments.model.empty()) run.overrides.push_back("model.path=" + arguments.model);
  config::TrainConfig config;
  Settings settings;
  config::bind(settings, config, reward_types());
  LS_RETURN_IF_ERROR(run.load(settings));
  LS_RETURN_IF_ERROR(find_models(config.model, loop::checkpoint_model(config)));
  LS_RETURN_IF_ERROR(find_reference(config));
  LS_RETURN_IF_ERROR(config::validate(config));
  if (arguments.many_machines()) {
    LS_ASSIGN_OR_RETURN(
        const loop::ClusterOptions options,
        cluster_options(arguments, settings.to_toml(), config.filter_groups.enable));
    LS_ASSIGN_OR_RETURN(const loop::ClusterPlan plan, loop::plan_cluster(config, options));
    json ? print_cluster_json(plan) : print_cluster_text(plan);
    return ok_status();
  }
  LS_ASSIGN_OR_RETURN(const loop::CostForecast forecast,
                      loop::forecast_cost(config, arguments.forecast));
  json ? print_forecast_json(forecast) : print_forecast_text(forecast);
  return ok_status();
}

void add_plan_flags(CLI::App& command, PlanArguments& a) {
  command.add_option("--plan", a.file, "configuration file of `longshot train`");
  command.add_option("--model", a.model, "with --plan: instead of model.path");
  command
      .add_option("--response-length", a.forecast.response_length,
                  "with --plan: tokens of a response on average (default: "
                  "data.max_response_length)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--flat-groups", a.forecast.flat_groups,
                  "with --plan: share of groups whose samples all get the same score")
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--workers", a.workers, "with --plan: rollout workers, on machines like this one")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--trainers", a.trainers,
                  "with --plan: trainers that share an update, on machines like this one")
      ->check(CLI::PositiveNumber);
  command.add_option("--hosts", a.hosts,
                     "with --plan: TOML file of the machines, instead of --workers and --trainers; "
                     "docs/cluster-scaling.md");
  command.add_option("--measured", a.measured,
                     "with --plan and --hosts or --workers: folder of a run in one process, from "
                     "which lengths and seconds are taken");
  command
      .add_option("--response-spread", a.response_spread,
                  "with --plan and --hosts or --workers: standard deviation of the tokens of a "
                  "response")
      ->check(CLI::PositiveNumber);
  command.add_option("overrides", a.overrides, "with --plan: key=value");
}

}  // namespace longshot::commands

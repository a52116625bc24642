#include "loop/plan/hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/settings/checks.h"
#include "base/settings/settings.h"

namespace longshot::loop {
namespace {

void bind(Settings& s, WorkerHost& h) {
  s.add("count", &h.count, "hosts of this kind", at_least(1));
  s.add("workers", &h.workers, "rollout workers on each of them", at_least(1));
  s.add("cores", &h.cores, "cores that they share; 0 = as many as their threads", at_least(0.0));
  s.add("threads", &h.threads, "of a worker; 0 = those of the measured process", at_least(0));
  s.add("speed", &h.speed, "of a core or device, the measured one is 1", above(0));
  s.add("slots", &h.slots, "samples at a time; 0 = rollout.max_concurrent", at_least(0));
  s.add("link_gbits", &h.link_gbits, "1e9 bits a second in each direction", above(0));
  s.add("latency_ms", &h.latency_ms, "of a message to the coordinator", at_least(0.0));
  s.add("with_coordinator", &h.with_coordinator, "on the coordinator's machine");
}

Result<WorkerHost> read_kind(const Json& table, size_t number) {
  const std::string where = fmt::format("host {}", number);
  if (!table.is_object()) return invalid_argument(where + " must be a table: [[host]]");
  WorkerHost host;
  Settings settings;
  bind(settings, host);
  for (const auto& [key, value] : table.items())
    LS_RETURN_IF_ERROR(settings.set_json(key, value, where));
  if (host.with_coordinator && host.count > 1)
    return invalid_argument(where + ": only one host can have with_coordinator, so count is 1");
  return host;
}

Result<std::vector<WorkerHost>> read_kinds(const Json& list) {
  std::vector<WorkerHost> kinds;
  for (const Json& table : list) {
    LS_ASSIGN_OR_RETURN(WorkerHost kind, read_kind(table, kinds.size() + 1));
    kinds.push_back(kind);
  }
  if (std::ranges::count_if(kinds, &WorkerHost::with_coordinator) > 1)
    return invalid_argument("only one [[host]] can have with_coordinator");
  return kinds;
}

// [[running, seconds], ...]
Result<StepCosts> read_steps(const Json& list) {
  StepCosts costs;
  for (const Json& point : list) {
    const bool pair =
        point.is_array() && point.size() == 2 && point[0].is_number() && point[1].is_number();
    const double running = pair ? point[0].get<double>() : 0,
                 seconds = pair ? point[1].get<double>() : 0;
    const bool ascends = costs.points.empty() || (running > costs.points.back().first &&
                                                  seconds >= costs.points.back().second);
    if (running < 1 || seconds <= 0 || !ascends) {
      return invalid_argument(
          "costs.steps must be a list of [running samples, seconds of a step] in which both "
          "ascend, such as [[1, 0.02], [64, 0.05]]");
    }
    costs.points.emplace_back(running, seconds);
  }
  return costs;
}

void bind(Settings& s, PlanCosts& c, Json& steps) {
  s.add_parsed("costs.steps", &steps, "[running samples, seconds of a decode step]",
               [&c](const Json& list) -> Status {
                 LS_ASSIGN_OR_RETURN(const StepCosts read, read_steps(list));
                 c.steps.points = read.points;
                 return ok_status();
               });
  s.add("costs.prompt_token", &c.steps.prompt_token, "seconds to read a token of a prompt",
        at_least(0.0));
  s.add("costs.context", &c.steps.context,
        "seconds that each earlier token of a response adds to a step", at_least(0.0));
  s.add("costs.update", &c.update, "seconds of an update by one trainer", at_least(0.0));
  s.add("costs.write", &c.write, "seconds in which the coordinator writes new weights",
        at_least(0.0));
  s.add("costs.load", &c.load, "seconds in which a worker prepares new weights", at_least(0.0));
  s.add("costs.reward", &c.reward, "seconds to judge a sample", at_least(0.0));
  s.add("costs.message", &c.message, "seconds for a piece of a sample", at_least(0.0));
}

}  // namespace

double WorkerHost::worker_speed(int working, int measured_threads) const {
  const double own = threads > 0 ? threads : measured_threads;
  const double share = cores > 0 ? cores / working : own;
  return speed * std::min(own, share) / measured_threads;
}

int Hosts::workers() const {
  int sum = 0;
  for (const WorkerHost& kind : kinds) sum += kind.count * kind.workers;
  return sum;
}

Result<Hosts> equal_hosts(int trainers, int workers) {
  if (trainers < 1 || workers < 1)
    return invalid_argument("--trainers and --workers must be at least 1");
  Hosts hosts;
  hosts.trainers.count = trainers;
  hosts.kinds.push_back({.count = workers});
  return hosts;
}

Result<Hosts> read_hosts(const std::string& path) {
  Hosts hosts;
  PlanCosts costs;
  Json kinds = Json::array(), steps = Json::array();
  Settings settings;
  TrainerHosts& t = hosts.trainers;
  settings.add("trainers.count", &t.count, "processes that share an update", at_least(1));
  settings.add("trainers.speed", &t.speed, "of an update, the measured one is 1", above(0));
  settings.add("trainers.link_gbits", &t.link_gbits, "1e9 bits a second in each direction",
               above(0));
  settings.add_parsed("host", &kinds, "tables [[host]]: machines with rollout workers",
                      [&](const Json& list) -> Status {
                        LS_ASSIGN_OR_RETURN(hosts.kinds, read_kinds(list));
                        return ok_status();
                      });
  bind(settings, costs, steps);
  const PlanCosts none;
  LS_RETURN_IF_ERROR(settings.load_toml_file(path));
  if (hosts.kinds.empty())
    return invalid_argument(path + ": there is no [[host]], so nothing generates samples");
  const bool any = costs.update != none.update || costs.write != none.write ||
                   costs.load != none.load || costs.reward != none.reward ||
                   costs.message != none.message || costs.steps.prompt_token > 0 ||
                   costs.steps.context > 0;
  if (any && costs.steps.points.empty())
    return invalid_argument(path + ": [costs] replaces what is measured, so it needs `steps`");
  if (!costs.steps.points.empty()) hosts.costs = costs;
  if (hosts.costs && hosts.costs->update <= 0)
    return invalid_argument(path + ": [costs] replaces what is measured, so it needs `update`");
  return hosts;
}

std::vector<PlacedWorker> place_workers(const Hosts& hosts, int count, int measured_threads) {
  std::vector<PlacedWorker> placed;
  int host = 0;
  for (bool first = true; static_cast<int>(placed.size()) < count; first = false) {
    for (const WorkerHost& kind : hosts.kinds) {
      for (int i = 0; i < kind.count && static_cast<int>(placed.size()) < count; ++i, ++host) {
        const int here = std::min(kind.workers, count - static_cast<int>(placed.size()));
        PlacedWorker worker{kind, host, kind.worker_speed(here, measured_threads)};
        worker.kind.with_coordinator = first && kind.with_coordinator;
        placed.insert(placed.end(), static_cast<size_t>(here), worker);
      }
    }
  }
  return placed;
}

}  // namespace longshot::loop

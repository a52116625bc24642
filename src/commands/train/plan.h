#pragma once
// `longshot doctor --plan`: what a run needs, in one process or on many machines.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "loop/forecast/cost_forecast.h"

namespace longshot::commands {

struct PlanArguments {
  std::string file;   // configuration of a run; empty: no plan
  std::string model;  // replaces model.path of the configuration
  std::vector<std::string> overrides;
  loop::ForecastOptions forecast;
  // Of a run on many machines.
  std::string hosts;              // file
  int workers = 0, trainers = 0;  // instead of it
  std::string measured;           // run folder
  double response_spread = 0;

  bool many_machines() const { return !hosts.empty() || workers > 0 || trainers > 0; }
  // Something besides `file` is given.
  bool any_option() const;
};

void add_plan_flags(CLI::App& command, PlanArguments& arguments);

// Errors: combinations without a meaning, and those of loop::forecast_cost() and
// loop::plan_cluster().
Status print_plan(const PlanArguments& arguments, bool json);

}  // namespace longshot::commands

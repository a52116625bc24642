#include "base/run_log/metrics_log.h"

#include <cmath>
#include <limits>

#include "base/run_log/step_lines.h"

namespace longshot {
namespace {

Json number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Result<double> number_from_json(const Json& json, const std::string& where) {
  if (json.is_number()) return json.get<double>();
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  return invalid_argument(where + ": not a number");
}

}  // namespace

Json metrics_to_json(const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) json[name] = number(value);
  return json;
}

Result<Metrics> metrics_from_json(const Json& json, const std::string& where) {
  if (!json.is_object()) return invalid_argument(where + ": not an object of metrics");
  Metrics metrics;
  for (const auto& [name, value] : json.items()) {
    LS_ASSIGN_OR_RETURN(metrics[name], number_from_json(value, where + ": " + name));
  }
  return metrics;
}

std::string metrics_line(int64_t step, const Metrics& metrics) {
  OrderedJson line;
  line["step"] = step;
  for (const auto& [name, value] : metrics) line[name] = OrderedJson(number(value));
  return dump_json(line);
}

Result<MetricsLog> MetricsLog::open(const std::filesystem::path& path) {
  LS_RETURN_IF_ERROR(cut_unfinished_line(path));
  LS_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  return MetricsLog(std::move(file));
}

Status MetricsLog::append(int64_t step, const Metrics& metrics) {
  waiting_ += metrics_line(step, metrics) + "\n";
  LS_RETURN_IF_ERROR(file_.append(waiting_));
  waiting_.clear();
  return ok_status();
}

}  // namespace longshot

#include "base/metrics_log.h"

#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "base/fs.h"
#include "base/log.h"

namespace longshot {
namespace {

Json number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Status cut_unfinished_line(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return ok_status();
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  if (text.empty() || text.back() == '\n') return ok_status();
  log::warn("{}: the last line is unfinished and was cut off", path.string());
  const size_t newline = text.rfind('\n');
  std::error_code error;
  std::filesystem::resize_file(path, newline == std::string::npos ? 0 : newline + 1, error);
  if (error) return io_error("cannot shorten " + path.string() + ": " + error.message());
  return ok_status();
}

std::optional<int64_t> step_of(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) return {};
  return json["step"].get<int64_t>();
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

Status MetricsLog::truncate_after(const std::filesystem::path& path, int64_t step,
                                  const std::filesystem::path& cut_off) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return ok_status();
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  std::string kept, cut;
  bool damaged = false;
  for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string_view content = std::string_view(text).substr(begin, end - begin);
    const std::optional<int64_t> found = step_of(content);
    if (!found) log::warn("{}:{}: damaged line dropped", path.string(), line);
    damaged = damaged || (!found && end < text.size());  // a last one without its end is a crash's
    (found && *found <= step ? kept : cut).append(content).append("\n");
    begin = end + 1;
  }
  if (kept == text) return ok_status();
  if (damaged) LS_RETURN_IF_ERROR(write_file_atomic(path.string() + ".damaged", text));
  if (!cut_off.empty() && !cut.empty()) {
    LS_RETURN_IF_ERROR(make_directories(cut_off.parent_path()));
    LS_RETURN_IF_ERROR(write_file_atomic(cut_off, cut));
  }
  return write_file_atomic(path, kept);
}

}  // namespace longshot

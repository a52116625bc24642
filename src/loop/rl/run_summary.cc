#include "loop/rl/run_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "base/json.h"

namespace longshot::loop {
namespace {

struct Point {
  int64_t step;
  double value;
};

std::vector<Point> course_of(const std::filesystem::path& run, const char* name) {
  std::vector<Point> course;
  std::error_code error;  // only a regular file: reading a device might never end
  if (!std::filesystem::is_regular_file(run / "metrics.jsonl", error)) return course;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto json = parse_json(line, "metrics.jsonl");
    if (!json.ok() || !json->is_object() || !json->contains("step")) continue;
    const auto value = json->find(name);
    if (value != json->end() && value->is_number())
      course.push_back({(*json)["step"].get<int64_t>(), value->get<double>()});
  }
  return course;
}

// The 95 % interval of the accuracy at `step`; empty if it is not logged.
std::string interval_at(const std::filesystem::path& run, int64_t step) {
  std::string text;
  for (const char* name : {"val/accuracy_low", "val/accuracy_high"}) {
    const std::vector<Point> course = course_of(run, name);
    const auto at = std::ranges::find(course, step, &Point::step);
    if (at == course.end()) return "";
    text += fmt::format("{}{:.3f}", text.empty() ? " (95 % interval " : " to ", at->value);
  }
  return text + ")";
}

}  // namespace

std::string summarize_run(const std::filesystem::path& run) {
  std::vector<Point> course = course_of(run, "val/accuracy");
  const bool held_out = course.size() > 1;
  if (!held_out) course = course_of(run, "critic/rewards/mean");
  if (course.size() < 2) return "";
  const auto less = [](const Point& a, const Point& b) { return a.value < b.value; };
  const Point best = *std::max_element(course.begin(), course.end(), less);
  return fmt::format("{} {:.3f} -> {:.3f}{}, best {:.3f} at iteration {}",
                     held_out ? "held-out" : "reward", course.front().value, course.back().value,
                     held_out ? interval_at(run, course.back().step) : "", best.value, best.step);
}

}  // namespace longshot::loop

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

}  // namespace

std::string summarize_run(const std::filesystem::path& run) {
  std::vector<Point> course = course_of(run, "val/accuracy");
  const bool held_out = course.size() > 1;
  if (!held_out) course = course_of(run, "critic/rewards/mean");
  if (course.size() < 2) return "";
  const auto less = [](const Point& a, const Point& b) { return a.value < b.value; };
  const Point best = *std::max_element(course.begin(), course.end(), less);
  return fmt::format("{} {:.3f} -> {:.3f}, best {:.3f} at {}", held_out ? "held-out" : "reward",
                     course.front().value, course.back().value, best.value, best.step);
}

}  // namespace longshot::loop

#include "eval/suite/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text/text.h"
#include "eval/suite/compare.h"
#include "eval/suite/task_figures.h"
#include "eval/suite/task_file.h"

namespace longshot::eval {
namespace {

constexpr double kWidth = 640, kHeight = 400, kLeft = 60, kBottom = 50, kTop = 20, kRight = 20;

struct Point {
  std::string name;
  double tokens = 0, accuracy = 0, low = 0, high = 0;
};

std::string escaped(std::string text) {
  replace_all(text, "&", "&amp;");
  replace_all(text, "<", "&lt;");
  replace_all(text, ">", "&gt;");
  replace_all(text, "\"", "&quot;");
  return text;
}

// A step of 1, 2 or 5 times a power of ten that divides `range` into about five parts.
double step_of(double range) {
  double step = 1e-6;
  while (true) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (range / (step * factor) <= 6) return step * factor;
    }
    step *= 10;
  }
}

class Plot {
 public:
  Plot(std::string title, const std::vector<Point>& points) : title_(std::move(title)) {
    for (const Point& p : points) {
      most_tokens_ = std::max(most_tokens_, p.tokens);
      most_accuracy_ = std::max(most_accuracy_, p.high);
    }
    most_tokens_ = std::max(1.0, 1.1 * most_tokens_);
    most_accuracy_ = std::min(1.0, std::max(0.01, 1.1 * most_accuracy_));
    axes();
    for (size_t i = 0; i < points.size(); ++i) add(points[i], i);
  }

  std::string html() const {
    return fmt::format(
        "<h2>{}</h2>\n<svg viewBox=\"0 0 {} {}\" width=\"{}\" role=\"img\">\n{}</svg>\n",
        escaped(title_), kWidth, kHeight, kWidth, body_);
  }

 private:
  double x(double tokens) const {
    return kLeft + tokens / most_tokens_ * (kWidth - kLeft - kRight);
  }
  double y(double accuracy) const {
    return kHeight - kBottom - accuracy / most_accuracy_ * (kHeight - kTop - kBottom);
  }

  void line(double x1, double y1, double x2, double y2, const char* style) {
    body_ += fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>\n", style, x1, y1,
                         x2, y2);
  }

  void text(double at_x, double at_y, const char* anchor, const std::string& what) {
    body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", at_x,
                         at_y, anchor, escaped(what));
  }

  void axes() {
    const double right = step_of(most_tokens_), up = step_of(100 * most_accuracy_) / 100;
    for (int i = 0; i * up <= most_accuracy_; ++i) {
      line(kLeft, y(i * up), kWidth - kRight, y(i * up), "grid");
      text(kLeft - 6, y(i * up) + 4, "end", fmt::format("{:g}", 100 * up * i));
    }
    for (int i = 0; i * right <= most_tokens_; ++i)
      text(x(i * right), kHeight - kBottom + 18, "middle", fmt::format("{:g}", right * i));
    text((kLeft + kWidth) / 2, kHeight - 10, "middle", "mean response tokens");
    text(kLeft, kTop - 6, "start", "accuracy, %");
  }

  void add(const Point& p, size_t index) {
    line(x(p.tokens), y(p.low), x(p.tokens), y(std::min(p.high, most_accuracy_)), "interval");
    body_ += fmt::format(
        "<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}: {:.2f} %, {:.1f} "
        "tokens</title></circle>\n",
        index % 6, x(p.tokens), y(p.accuracy), escaped(p.name), 100 * p.accuracy, p.tokens);
    const bool left = x(p.tokens) > kWidth / 2;
    text(x(p.tokens) + (left ? -9 : 9), y(p.accuracy) - 7, left ? "end" : "start", p.name);
  }

  std::string title_, body_;
  double most_tokens_ = 0, most_accuracy_ = 0;
};

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Token efficiency</title>
<style>
body { font: 14px sans-serif; margin: 24px; max-width: 720px }
text { font: 12px sans-serif; fill: #333 }
.grid { stroke: #ddd } .interval { stroke: #888; stroke-width: 1.5 }
.c0 { fill: #1f77b4 } .c1 { fill: #d62728 } .c2 { fill: #2ca02c }
.c3 { fill: #9467bd } .c4 { fill: #ff7f0e } .c5 { fill: #17becf }
</style>
<h1>Accuracy against response length</h1>
)";

// The points of each task that generates and has a judged answer.
Result<std::map<std::string, Point>> points_of(const std::string& folder) {
  std::map<std::string, Point> points;
  const std::filesystem::path path(folder);
  LS_ASSIGN_OR_RETURN(const auto tasks, tasks_in(path));
  for (const std::string& task : tasks) {
    LS_ASSIGN_OR_RETURN(const auto rows, read_results(path / (task + ".jsonl")));
    LS_ASSIGN_OR_RETURN(const TaskFigures f, figures_of(task, rows, {}));
    if (f.accuracy_norm >= 0 || f.problems == 0) continue;
    const auto name = path.has_filename() ? path.filename() : path.parent_path().filename();
    points[task] = {name.string(), f.mean_tokens, f.accuracy, f.low, f.high};
  }
  return points;
}

// The mean over tasks; it has no interval.
Point mean_of(const std::vector<Point>& points) {
  Point mean{points.front().name};
  for (const Point& p : points) {
    mean.tokens += p.tokens / static_cast<double>(points.size());
    mean.accuracy += p.accuracy / static_cast<double>(points.size());
  }
  mean.low = mean.high = mean.accuracy;
  return mean;
}

}  // namespace

Result<std::string> efficiency_page(const std::vector<std::string>& folders) {
  std::vector<std::map<std::string, Point>> all;
  for (const std::string& folder : folders) {
    LS_ASSIGN_OR_RETURN(auto points, points_of(folder));
    all.push_back(std::move(points));
  }
  std::vector<std::string> shared;
  for (const auto& [task, point] : all.front()) {
    if (std::all_of(all.begin(), all.end(), [&](const auto& p) { return p.contains(task); }))
      shared.push_back(task);
  }
  std::string page = kHead;
  std::vector<Point> means;
  for (const auto& points : all) {
    std::vector<Point> own;
    for (const std::string& task : shared) own.push_back(points.at(task));
    if (own.size() > 1) means.push_back(mean_of(own));
  }
  if (!means.empty()) page += Plot("mean of the tasks", means).html();
  for (const std::string& task : shared) {
    std::vector<Point> points;
    for (const auto& of_folder : all) points.push_back(of_folder.at(task));
    page += Plot(task, points).html();
  }
  if (shared.empty()) page += "<p>The folders share no task with generated answers.</p>\n";
  return page + "</html>\n";
}

}  // namespace longshot::eval

#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <utility>

#include "report/assets.h"
#include "report/findings.h"
#include "report/points.h"

namespace longshot::report {
namespace {

// Six digits are more than a chart shows, and need half the bytes of a double.
Json rounded(double value) {
  if (std::isnan(value)) return nullptr;
  return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr);
}

Json rounded(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(rounded(value));
  return list;
}

// {first, last}; null for a run without an iteration. Step 0 is an evaluation before training.
Json iterations_of(const RunData& run) {
  const auto first = std::ranges::find_if(run.steps, [](int64_t step) { return step > 0; });
  if (first == run.steps.end()) return nullptr;
  return {*first, run.steps.back()};
}

// Of each metric of held-out evaluations: its values at the first, the last and the best one, and
// the step of the best. Charts of a long run show means, from which they cannot be read.
Json evaluations_of(const RunData& run) {
  Json out = Json::object();
  for (const auto& [name, values] : run.metrics) {
    if (!name.starts_with("val")) continue;
    std::vector<size_t> at;
    for (size_t i = 0; i < values.size(); ++i)
      if (!std::isnan(values[i])) at.push_back(i);
    if (at.empty()) continue;
    const size_t best = *std::ranges::max_element(at, {}, [&](size_t i) { return values[i]; });
    out[name] = {{"first", rounded(values[at.front()])},
                 {"last", rounded(values[at.back()])},
                 {"best", rounded(values[best])},
                 {"best_step", run.steps[best]}};
  }
  return out;
}

Json page_run(const RunData& run, const RunData& points) {
  Json metrics = Json::object(), sums = Json::object();
  for (const auto& [name, values] : points.metrics) metrics[name] = rounded(values);
  for (const char* name : {"rollout/generated_tokens", "timing_s/step"})
    if (run.metrics.contains(name)) sums[name] = rounded(sums_at(points.steps, run, name));
  return {{"name", run.name},
          {"folder", run.folder},
          {"iterations", iterations_of(run)},
          {"steps", points.steps},
          {"metrics", metrics},
          {"sums", sums},
          {"config", run.config},
          {"summary", run.summary},
          {"sample_count", run.sample_count},
          {"events", run.events},
          {"evaluations", evaluations_of(run)}};
}

// Runs whose folders have the same name get the whole path as their name.
void make_names_unique(std::vector<RunData>& runs) {
  std::map<std::string, int> count;
  for (const RunData& run : runs) ++count[run.name];
  for (RunData& run : runs) {
    if (count[run.name] > 1) run.name = run.folder;
  }
}

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Replaces each {{name}} of the template once. Braces inside the values are not replaced.
std::string fill(std::string_view page, const std::map<std::string, std::string>& values) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t open = page.find("{{", at);
    if (open == std::string_view::npos) return out.append(page.substr(at));
    const size_t close = page.find("}}", open);
    const auto value = values.find(std::string(page.substr(open + 2, close - open - 2)));
    LS_CHECK(value != values.end(), "the page names a value that is not given");
    out.append(page.substr(at, open - at)).append(value->second);
    at = close + 2;
  }
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out.append(part);
  return out;
}

}  // namespace

std::string page_data(const std::vector<RunData>& runs, const std::string& version) {
  Json data = {{"version", version},
               {"runs", Json::array()},
               {"samples", Json::array()},
               {"notes", Json::array()},
               {"findings", Json::array()}};
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunData points = averaged(runs[i]);
    data["runs"].push_back(page_run(runs[i], points));
    for (Json sample : runs[i].samples) {
      sample["run"] = i;
      data["samples"].push_back(std::move(sample));
    }
    for (const std::string& note : points.notes) data["notes"].push_back(note);
    for (const Trouble& trouble : find_trouble(runs[i]))
      data["findings"].push_back({{"run", i}, {"text", trouble.text}, {"when", trouble.when}});
  }
  // "</script>" or "<!--" inside a text would end or change the element; in JSON, < may be written
  // as \u003c.
  std::string text;
  for (const char c : dump_json(data)) c == '<' ? text += "\\u003c" : text += c;
  return text;
}

Result<std::string> make_report(const std::vector<std::filesystem::path>& folders,
                                const ReportOptions& options) {
  if (folders.empty()) return invalid_argument("report: name at least one run folder");
  SampleLimits limits = options.samples;
  const int count = static_cast<int>(folders.size());
  std::vector<RunData> runs;
  for (const auto& folder : folders) {
    const bool one_more = static_cast<int>(runs.size()) < options.samples.count % count;
    limits.count = options.samples.count / count + (one_more ? 1 : 0);
    LS_ASSIGN_OR_RETURN(RunData run, read_run(folder, limits));
    runs.push_back(std::move(run));
  }
  make_names_unique(runs);
  const std::string_view live = options.version.empty() ? "" : kLiveJs;
  return fill(kReportHtml,
              {{"title", escape_html(options.title)},
               {"style", std::string(kReportCss)},
               {"data", page_data(runs, options.version)},
               {"script", joined({kChartsJs, kSamplesJs, kWorkersJs, kPageJs, live})}});
}

}  // namespace longshot::report

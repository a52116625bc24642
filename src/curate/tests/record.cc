#include "curate/tests/record.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace longshot::curate {
namespace {

constexpr std::array<std::pair<State, const char*>, 3> kStates = {
    {{State::kept, "kept"}, {State::dropped, "dropped"}, {State::error, "error"}}};

constexpr std::array<std::pair<Reason, const char*>, 8> kReasons = {{
    {Reason::none, ""},
    {Reason::special_judge, "special judge"},
    {Reason::too_few_submissions, "too few submissions"},
    {Reason::no_code, "no code"},
    {Reason::generator_fails, "generator fails"},
    {Reason::too_few_cases, "too few cases"},
    {Reason::too_few_valid, "too few valid cases"},
    {Reason::too_few_passing, "too few passing submissions"},
}};

template <typename Table, typename T>
const char* name_in(const Table& table, T value) {
  for (const auto& [entry, name] : table) {
    if (entry == value) return name;
  }
  return "unknown";
}

template <typename T, size_t n>
std::optional<T> find_in(const std::array<std::pair<T, const char*>, n>& table,
                         const std::string& name) {
  for (const auto& [entry, word] : table) {
    if (name == word) return entry;
  }
  return std::nullopt;
}

OrderedJson submissions_json(const std::vector<SubmissionResult>& submissions) {
  OrderedJson list = OrderedJson::array();
  for (const auto& s : submissions) {
    OrderedJson entry = {{"language", s.language}, {"passed", s.passed}};
    if (!s.passed) entry["message"] = s.message;
    list.push_back(std::move(entry));
  }
  return list;
}

std::string table_line(const std::string& stage, int count, int before, const char* report) {
  const std::string share = before > 0 ? fmt::format("{:.1f} %", 100.0 * count / before) : "";
  return fmt::format("{:<42} {:>9} {:>10} {:>11}\n", stage, count, share, report);
}

}  // namespace

const char* state_name(State state) {
  return name_in(kStates, state);
}
const char* reason_name(Reason reason) {
  return name_in(kReasons, reason);
}
std::optional<State> parse_state(const std::string& name) {
  return find_in(kStates, name);
}
std::optional<Reason> parse_reason(const std::string& name) {
  return find_in(kReasons, name);
}

OrderedJson to_json(const Record& record) {
  const Attempt& best = record.best;
  OrderedJson json = {{"id", record.id},
                      {"content_hash", record.content_hash},
                      {"state", state_name(record.state)},
                      {"reason", reason_name(record.reason)},
                      {"message", record.message},
                      {"attempts", record.attempts},
                      {"generator", best.generator}};
  if (!best.answer.empty()) json["answer"] = best.answer;
  json["cases"] = best.cases;
  json["agreements"] = best.agreements;
  json["valid_cases"] = best.valid_cases;
  json["passing_submissions"] = best.passing;
  json["submissions"] = submissions_json(best.submissions);
  return json;
}

void Funnel::add(State state, Reason reason) {
  ++statements;
  if (reason != Reason::special_judge) ++without_special_judge;
  if (state == State::error) ++errors;
  if (state == State::dropped) ++dropped[reason];
  if (state == State::kept || reason == Reason::too_few_passing) ++generators;
  if (state == State::kept) ++problems;
}

OrderedJson to_json(const Funnel& funnel) {
  OrderedJson dropped = OrderedJson::object();
  for (const auto& [reason, count] : funnel.dropped) dropped[reason_name(reason)] = count;
  return {
      {"statements", funnel.statements}, {"without_special_judge", funnel.without_special_judge},
      {"generators", funnel.generators}, {"problems", funnel.problems},
      {"errors", funnel.errors},         {"dropped", std::move(dropped)}};
}

std::string format_table(const Funnel& f, const Thresholds& t, int left) {
  std::string text =
      fmt::format("{:<42} {:>9} {:>10} {:>11}\n", "", "problems", "of before", "the report");
  text += table_line("statements", f.statements, 0, "1,000");
  text += table_line("without special judge", f.without_special_judge, f.statements, "614");
  text += table_line(fmt::format("generators with {} valid cases or more", t.min_valid),
                     f.generators, f.without_special_judge, "463");
  text += table_line(fmt::format("{} of {} submissions pass or more", t.min_passing, t.submissions),
                     f.problems, f.generators, "323");
  for (const auto& [reason, count] : f.dropped)
    text += fmt::format("  dropped: {:<31} {:>9}\n", reason_name(reason), count);
  if (f.errors > 0) text += fmt::format("  {:<40} {:>9}\n", "errors, not judged", f.errors);
  if (left > 0) text += fmt::format("  {:<40} {:>9}\n", "not done yet", left);
  return text;
}

}  // namespace longshot::curate

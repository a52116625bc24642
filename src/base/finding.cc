#include "base/finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace longshot {
namespace {

const char* status_of(const Finding& finding) {
  return finding.ok ? "ok" : finding.stops ? "fail" : "warn";
}

}  // namespace

bool any_stops(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return !f.ok && f.stops; });
}

std::string to_text(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& f : findings) {
    out += fmt::format("{:<5} {:<11} {}\n", status_of(f), f.name, f.detail);
    if (!f.ok) out += fmt::format("{:<17} -> {}\n", "", f.advice);
  }
  return out;
}

std::string to_json(const std::vector<Finding>& findings) {
  OrderedJson list = OrderedJson::array();
  bool all_ok = true;
  for (const Finding& f : findings) {
    OrderedJson item = {{"name", f.name}, {"status", status_of(f)}, {"detail", f.detail}};
    if (!f.ok) item["advice"] = f.advice;
    list.push_back(item);
    all_ok = all_ok && f.ok;
  }
  return dump_json(OrderedJson{{"ok", all_ok}, {"findings", list}}) + "\n";
}

}  // namespace longshot

#pragma once
// What `longshot doctor` finds out, one fact at a time.

#include <string>
#include <vector>

namespace longshot {

struct Finding {
  std::string name;
  bool ok = true;
  std::string detail;
  std::string advice = {};  // what to do; shown if it is not ok
  bool stops = false;       // not ok, and what was asked about cannot work
};

bool any_stops(const std::vector<Finding>& findings);
std::string to_text(const std::vector<Finding>& findings);
// {"ok", "findings": [{"name", "status": "ok", "warn" or "fail", "detail", "advice"}]}
std::string to_json(const std::vector<Finding>& findings);

}  // namespace longshot

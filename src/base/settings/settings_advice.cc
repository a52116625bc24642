// The text of the error about an unknown key.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/settings/settings.h"
#include "base/text/nearest.h"

namespace longshot {
namespace {

constexpr size_t kMaxGuesses = 3;

std::string section_of(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

std::string last_part(const std::string& key) {
  return key.substr(key.rfind('.') + 1);  // npos + 1 = 0
}

// The number of parts that two keys share, counted from the end: "optim.lr" and "actor.optim.lr"
// share two.
size_t common_parts(std::string a, std::string b) {
  size_t count = 0;
  while (!a.empty() && !b.empty() && last_part(a) == last_part(b)) {
    ++count;
    a = section_of(a);
    b = section_of(b);
  }
  return count;
}

}  // namespace

void Settings::explain(const std::string& name, const std::string& explanation) {
  explanations_.emplace(name, explanation);
}

// Returns the keys that end like the unknown one, or else those within a typing error of it.
std::vector<std::string> Settings::keys_like(const std::string& unknown) const {
  std::vector<std::string> found;
  const std::string section = section_of(unknown);
  const bool known_section =
      !section.empty() && std::ranges::any_of(entries_, [&](const Entry& entry) {
        return section_of(entry.key) == section;
      });
  size_t best = 0;  // matching parts, counted from the end
  for (const Entry& entry : entries_) {
    const size_t same = common_parts(entry.key, unknown);
    // If the section exists, a key of another section that shares only the last part is a
    // coincidence.
    if (same == 0 || same < best || (same == 1 && known_section)) continue;
    if (same > best) found.clear();
    best = same;
    found.push_back(entry.key);
  }
  if (!found.empty()) return found;
  size_t nearest = std::max<size_t>(1, last_part(unknown).size() / 3);
  for (const Entry& entry : entries_) {
    const size_t distance = edit_distance(entry.key, unknown);
    if (distance > nearest) continue;
    if (distance < nearest) found.clear();
    nearest = distance;
    found.push_back(entry.key);
  }
  return found;
}

std::string Settings::advice(const std::string& unknown) const {
  for (size_t begin = 0;; ++begin) {
    const auto found = explanations_.find(unknown.substr(begin));
    if (found != explanations_.end()) return "; " + found->second;
    begin = unknown.find('.', begin);
    if (begin == std::string::npos) break;
  }
  const std::vector<std::string> keys = keys_like(unknown);
  if (keys.empty() || keys.size() > kMaxGuesses) return "; --reference lists the keys";
  return fmt::format("; did you mean '{}'?", fmt::join(keys, "' or '"));
}

}  // namespace longshot

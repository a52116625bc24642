#include "curate/duplicates/prefix_join.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/os/stop.h"

namespace longshot::curate {
namespace {

constexpr size_t kCounters = size_t{1} << 20;

// The number of rows that have a shingle. Shingles may share a counter: any common order will do.
class Frequencies {
 public:
  Frequencies() : counts_(kCounters, 0) {}
  void add(uint64_t shingle) { ++counts_[shingle % kCounters]; }
  bool rarer(uint64_t a, uint64_t b) const {
    const uint32_t first = counts_[a % kCounters], second = counts_[b % kCounters];
    return first != second ? first < second : a < b;
  }

 private:
  std::vector<uint32_t> counts_;
};

using Entry = std::pair<uint64_t, uint32_t>;  // shingle, row

Result<std::vector<Entry>> first_shingles(const std::vector<uint32_t>& rows, PairChecker& checker) {
  Frequencies frequencies;
  for (const uint32_t row : rows) {
    LS_ASSIGN_OR_RETURN(const auto* set, checker.load(row));
    for (const uint64_t shingle : *set) frequencies.add(shingle);
  }
  std::vector<Entry> entries;
  std::vector<uint64_t> sorted;
  for (const uint32_t row : rows) {
    if (stop_requested()) return cancelled("stopped");
    LS_ASSIGN_OR_RETURN(const auto* set, checker.load(row));
    sorted = *set;
    const auto size = static_cast<double>(sorted.size());
    const auto kept = static_cast<size_t>(size - std::ceil(checker.threshold() * size - 1e-9)) + 1;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(kept, sorted.size()));
    std::partial_sort(sorted.begin(), middle, sorted.end(),
                      [&](uint64_t a, uint64_t b) { return frequencies.rarer(a, b); });
    for (auto it = sorted.begin(); it != middle; ++it) entries.emplace_back(*it, row);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Rows that share a shingle. Each is compared with one row of every component before it.
Status join_run(const Entry* begin, const Entry* end, PairChecker& checker) {
  std::vector<uint32_t> leaders;
  for (const Entry* entry = begin; entry != end; ++entry) {
    const uint32_t row = entry->second;
    for (auto leader = leaders.rbegin(); leader != leaders.rend(); ++leader) {
      if (checker.components().joined(*leader, row)) break;
      LS_RETURN_IF_ERROR(checker.propose(*leader, row));
    }
    const bool known = std::any_of(leaders.begin(), leaders.end(), [&](uint32_t leader) {
      return checker.components().joined(leader, row);
    });
    if (known) continue;
    if (leaders.size() == kMostLeaders) leaders.erase(leaders.begin());
    leaders.push_back(row);
  }
  return ok_status();
}

}  // namespace

Status join_by_prefixes(const std::vector<uint32_t>& rows, PairChecker& checker) {
  LS_ASSIGN_OR_RETURN(const auto entries, first_shingles(rows, checker));
  for (size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
    while (end < entries.size() && entries[end].first == entries[begin].first) ++end;
    if (stop_requested()) return cancelled("stopped");
    if (end - begin > 1)
      LS_RETURN_IF_ERROR(join_run(entries.data() + begin, entries.data() + end, checker));
  }
  return ok_status();
}

}  // namespace longshot::curate

#include "train/shard/gather_rows.h"

#include <algorithm>
#include <span>

namespace longshot::train {
namespace {

using Visitor = std::function<void(size_t row, size_t position)>;

// Visits the rows of one process with the position of each row's first value. Returns the number of
// values.
size_t visit_rows(const Lanes& lanes, int rank, const std::vector<std::vector<size_t>>& parts,
                  const std::function<int64_t(size_t)>& values_of, const Visitor& visit) {
  const int own = lanes.own();
  size_t position = 0;
  for (int lane = rank * own; lane < (rank + 1) * own; ++lane) {
    for (const size_t row : parts[static_cast<size_t>(lane)]) {
      visit(row, position);
      position += static_cast<size_t>(values_of(row));
    }
  }
  return position;
}

}  // namespace

Status gather_rows(const Lanes& lanes, const std::vector<std::vector<size_t>>& parts,
                   const std::function<int64_t(size_t)>& values_of,
                   std::vector<std::vector<double>>& values) {
  size_t most = 0;  // values of one process
  for (int rank = 0; rank < lanes.gang->size(); ++rank)
    most = std::max(most, visit_rows(lanes, rank, parts, values_of, [](size_t, size_t) {}));
  std::vector<double> all(most * static_cast<size_t>(lanes.gang->size()));
  const auto of_rank = [&](int rank) {
    return std::span(all).subspan(static_cast<size_t>(rank) * most, most);
  };
  const int own = lanes.gang->rank();
  visit_rows(lanes, own, parts, values_of, [&](size_t row, size_t position) {
    std::ranges::copy(values[row], of_rank(own).begin() + static_cast<long>(position));
  });
  LS_RETURN_IF_ERROR(gather_values(*lanes.gang, std::span(all), "log-probabilities"));
  for (int rank = 0; rank < lanes.gang->size(); ++rank) {
    visit_rows(lanes, rank, parts, values_of, [&](size_t row, size_t position) {
      const auto found = of_rank(rank).subspan(position, static_cast<size_t>(values_of(row)));
      values[row].assign(found.begin(), found.end());
    });
  }
  return ok_status();
}

}  // namespace longshot::train

#include "train/policy/update_batch.h"

#include "train/advantage/advantage.h"

namespace longshot::train {
namespace {

std::vector<std::vector<size_t>> rows_by_group(const std::vector<data::TrainRow>& rows) {
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].group != rows[i - 1].group) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

}  // namespace

Result<UpdateBatch> make_update_batch(const std::vector<data::Group>& groups,
                                      const AlgorithmOptions& algorithm, int64_t version) {
  UpdateBatch batch;
  LS_ASSIGN_OR_RETURN(batch.set, make_rows(groups, algorithm.train_earlier_segments, version));
  batch.groups = rows_by_group(batch.set.rows);
  batch.start.resize(batch.set.rows.size());
  batch.kl_model.resize(batch.set.rows.size());
  return batch;
}

void set_advantages(const AlgorithmOptions& algorithm, std::span<const double> penalty,
                    UpdateBatch& batch) {
  GroupValues rewards;
  for (const auto& group : batch.groups) {
    auto& values = rewards.emplace_back();
    for (const size_t i : group)
      values.push_back(batch.set.rows[i].reward - (penalty.empty() ? 0.0 : penalty[i]));
  }
  for (const auto& values : compute_advantages(algorithm, rewards))
    batch.advantages.insert(batch.advantages.end(), values.begin(), values.end());
  if (!algorithm.mask_truncated) return;
  for (auto& group : batch.groups)
    batch.masked += static_cast<int64_t>(
        std::erase_if(group, [&](size_t i) { return batch.set.truncated[i] != 0; }));
  std::erase_if(batch.groups, [](const auto& group) { return group.empty(); });
}

}  // namespace longshot::train

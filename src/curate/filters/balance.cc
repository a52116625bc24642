#include "curate/filters/balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"

namespace longshot::curate {
namespace {

constexpr double kRounding = 1e-9;

double share_of(const Json& shares, const std::string& group) {
  const auto found = shares.find(group);
  return found == shares.end() ? 0 : number_of(*found).value_or(0);
}

}  // namespace

Status check_shares(const Json& shares) {
  if (!shares.is_object())
    return invalid_argument("balance.shares must be a table from tags to shares");
  double sum = 0;
  for (const auto& [group, value] : shares.items()) {
    const auto share = number_of(value);
    if (!share || !(*share > 0) || *share > 1)
      return invalid_argument(fmt::format("balance.shares: '{}' must be in (0, 1]", group));
    sum += *share;
  }
  if (sum <= 1 + kRounding) return ok_status();
  return invalid_argument(fmt::format("balance.shares: their sum is {:.4g}, more than 1", sum));
}

Result<GroupSizes> target_sizes(const GroupSizes& sizes, const BalanceOptions& options) {
  LS_RETURN_IF_ERROR(check_shares(options.shares));
  GroupSizes capped = sizes;
  for (auto& [group, size] : capped) {
    if (options.cap > 0) size = std::min(size, options.cap);
  }
  if (options.shares.empty()) return capped;
  double left = 1, total = std::numeric_limits<double>::infinity();
  for (const auto& [group, value] : options.shares.items()) {
    const auto found = capped.find(group);
    if (found == capped.end() || found->second == 0)
      return invalid_argument(fmt::format("balance.shares: no row has the tag '{}'", group));
    const double share = share_of(options.shares, group);
    left -= share;
    total = std::min(total, static_cast<double>(found->second) / share);
  }
  int64_t others = 0;
  for (const auto& [group, size] : capped) others += options.shares.contains(group) ? 0 : size;
  if (left > kRounding && others > 0) total = std::min(total, static_cast<double>(others) / left);
  for (auto& [group, size] : capped) {
    const double share =
        options.shares.contains(group)
            ? share_of(options.shares, group)
            : std::max(left, 0.0) * static_cast<double>(size) / static_cast<double>(others);
    size = std::min(size, static_cast<int64_t>(std::floor(share * total + kRounding)));
  }
  return capped;
}

uint64_t balance_rank(uint64_t seed, uint64_t id_hash) {
  return hash_combine(hash_combine(seed, hash64("curate/balance")), id_hash);
}

}  // namespace longshot::curate

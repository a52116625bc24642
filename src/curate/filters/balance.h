#pragma once
// Which rows to keep so that no group is larger than a cap, or groups have target shares.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::curate {

struct BalanceOptions {
  int64_t cap = 0;               // rows of a group; 0: no cap
  Json shares = Json::object();  // group -> its share of the result; empty: no shares
  uint64_t seed = 0;
};

// The groups of a set and their sizes, in the order of their names.
using GroupSizes = std::map<std::string, int64_t>;

// Checks the form of balance.shares: positive numbers whose sum is at most 1.
Status check_shares(const Json& shares);

// The number of rows to keep of each group. With shares, the largest total for which every named
// group has enough rows; what the shares leave of 1 goes to the other groups in proportion to their
// sizes, and nothing if they leave nothing. The cap is applied to the sizes first. Error:
// invalid_argument that names a group with a share and without rows.
Result<GroupSizes> target_sizes(const GroupSizes& sizes, const BalanceOptions& options);

// Place of a row in the order in which the rows of a group are kept: lower first. It depends on the
// seed and the id only, so the choice does not depend on the order of the input, and few rows
// change when rows are added.
uint64_t balance_rank(uint64_t seed, uint64_t id_hash);

}  // namespace longshot::curate

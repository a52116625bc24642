#include "train/pass/micro_batches.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_map>

#include "base/check.h"
#include "train/pass/packing.h"

namespace longshot::train {
namespace {

// The number of tokens the forward needs: those before the last target.
int64_t forward_length(const PassRow& row) {
  for (size_t t = row.tokens.size(); t > 1; --t) {
    if (row.mask[t - 1]) return static_cast<int64_t>(t) - 1;
  }
  return 0;
}

// Rows that are computed together: one, or several with the same prompt.
struct Unit {
  std::vector<size_t> rows;
  int64_t prompt = 0;  // shared tokens; 0: nothing is shared
  int64_t length = 0;  // packed tokens
};

// Groups rows with equal prompts into units, in the order of their first rows.
std::vector<Unit> make_units(const std::vector<PassRow>& rows, const model::PassSize& size) {
  std::vector<Unit> units;
  std::unordered_map<std::string_view, size_t> last;  // unit with that prompt
  for (size_t i = 0; i < rows.size(); ++i) {
    LS_CHECK(rows[i].tokens.size() == rows[i].mask.size(), "one mask entry per token");
    const int64_t length = forward_length(rows[i]);
    if (length == 0) continue;
    const int64_t prompt = size.share_prompts ? rows[i].prompt : 0;
    const int64_t most = std::max(size.tokens, size.prompts * prompt);
    LS_CHECK(prompt <= length, "a prompt has no targets");
    if (prompt > 0) {
      const auto found = last.find(prompt_bytes(rows[i]));
      if (found != last.end() && units[found->second].length + length - prompt <= most) {
        units[found->second].rows.push_back(i);
        units[found->second].length += length - prompt;
        continue;
      }
      last[prompt_bytes(rows[i])] = units.size();
    }
    units.push_back({{i}, prompt, length});
  }
  return units;
}

void append_targets(const PassRow& row, size_t index,
                    const std::function<int64_t(int64_t)>& position, MicroBatch& micro) {
  const int64_t length = forward_length(row);
  for (int64_t t = 1; t <= length; ++t) {
    if (!row.mask[t]) continue;
    micro.predictors.push_back(position(t - 1));
    micro.targets.push_back(row.tokens[t]);
  }
  micro.rows.push_back(index);
  micro.begins.push_back(micro.targets.size());
  micro.unshared += length;
}

void append_unit(const std::vector<PassRow>& rows, const Unit& unit, MicroBatch& micro) {
  const bool alone = unit.rows.size() == 1;
  const auto prompt = static_cast<size_t>(alone ? 0 : unit.prompt);
  const auto parent = static_cast<int>(micro.batch.sequences());
  const int64_t first = micro.batch.total();
  if (!alone) micro.batch.append(rows[unit.rows[0]].tokens.first(prompt));
  for (const size_t i : unit.rows) {
    const int64_t begin = micro.batch.total();
    const auto length = static_cast<size_t>(forward_length(rows[i]));
    if (length > prompt)
      micro.batch.append(rows[i].tokens.subspan(prompt, length - prompt), alone ? -1 : parent);
    append_targets(
        rows[i], i,
        [&](int64_t t) {
          const auto shared = static_cast<int64_t>(prompt);
          return t < shared ? first + t : begin + t - shared;
        },
        micro);
  }
}

}  // namespace

int64_t target_count(const PassRow& row) {
  int64_t count = 0;
  for (size_t t = 1; t < row.tokens.size(); ++t) count += row.mask[t] != 0;
  return count;
}

std::string_view prompt_bytes(const PassRow& row) {
  return {reinterpret_cast<const char*>(row.tokens.data()), row.prompt * sizeof(data::TokenId)};
}

model::Work work_of(const MicroBatch& micro, const model::ModelConfig& config) {
  return {.tokens = static_cast<double>(micro.batch.total()),
          .targets = static_cast<double>(micro.targets.size()),
          .pairs = micro.batch.pairs(config)};
}

std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows,
                                           const model::PassSize& size) {
  const std::vector<Unit> units = make_units(rows, size);
  std::vector<int64_t> lengths;
  for (const Unit& unit : units) lengths.push_back(unit.length);
  std::vector<MicroBatch> out;
  for (const auto& pack : pack_sequences(lengths, size.tokens)) {
    MicroBatch& micro = out.emplace_back();
    micro.begins.push_back(0);
    for (const size_t i : pack) append_unit(rows, units[i], micro);
  }
  return out;
}

}  // namespace longshot::train

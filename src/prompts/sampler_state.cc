// The state of a PromptSampler in a checkpoint.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/rng.h"
#include "prompts/sampler.h"

namespace longshot::prompts {
namespace {

constexpr int kNoEpoch = -2;  // matches no iteration's window, so the next call starts an epoch

uint64_t fingerprint_of(const SamplerOptions& options) {
  return hash64(fmt::format("{} {} {} {}", name_of(options.order),
                            fmt::join(options.curriculum_iterations, ","),
                            fmt::join(options.curriculum_min_difficulty, ","),
                            fmt::join(options.curriculum_max_difficulty, ",")));
}

// The parts of a saved state, all read and checked before any of them is applied.
struct SavedState {
  uint64_t seed = 0, fingerprint = 0, options = 0;
  size_t prompts = 0;
  std::vector<uint32_t> visited;  // the prompts of the entries in the next three
  std::vector<double> success;
  std::vector<int64_t> records, draws;
  std::vector<uint32_t> moved;
  int window = -1;
  int64_t epoch = 0, position = 0, calls = 0;
  std::vector<Streak> streaks;  // empty: saved without a filter
  Exploration exploration;
  int64_t turns = 0;
};

Status parse_filter(const Json& json, const std::string& where, SavedState& s) {
  LS_ASSIGN_OR_RETURN(s.streaks, json_get<std::vector<Streak>>(json, "streaks", where));
  LS_ASSIGN_OR_RETURN(s.exploration.p_easy, json_get<double>(json, "p_easy", where));
  LS_ASSIGN_OR_RETURN(s.exploration.p_hard, json_get<double>(json, "p_hard", where));
  LS_ASSIGN_OR_RETURN(s.turns, json_get<int64_t>(json, "turns", where));
  const auto possible = [](double p) {
    return p >= Exploration::kLowest && p <= Exploration::kHighest;
  };
  const bool sound = s.streaks.size() == s.visited.size() && possible(s.exploration.p_easy) &&
                     possible(s.exploration.p_hard) && s.turns >= 0;
  return sound ? ok_status() : corrupt(where + ": its filter contradicts itself");
}

Result<SavedState> parse_state(const Json& json) {
  const std::string where = "saved prompt sampler";
  SavedState s;
  LS_ASSIGN_OR_RETURN(s.seed, json_get<uint64_t>(json, "seed", where));
  LS_ASSIGN_OR_RETURN(s.fingerprint, json_get<uint64_t>(json, "fingerprint", where));
  LS_ASSIGN_OR_RETURN(s.options, json_get<uint64_t>(json, "options", where));
  LS_ASSIGN_OR_RETURN(s.prompts, json_get<size_t>(json, "prompts", where));
  LS_ASSIGN_OR_RETURN(s.visited, json_get<std::vector<uint32_t>>(json, "visited", where));
  LS_ASSIGN_OR_RETURN(s.success, json_get<std::vector<double>>(json, "success", where));
  LS_ASSIGN_OR_RETURN(s.records, json_get<std::vector<int64_t>>(json, "records", where));
  LS_ASSIGN_OR_RETURN(s.draws, json_get<std::vector<int64_t>>(json, "draws", where));
  LS_ASSIGN_OR_RETURN(s.moved, json_get<std::vector<uint32_t>>(json, "moved", where));
  LS_ASSIGN_OR_RETURN(s.window, json_get<int>(json, "window", where));
  LS_ASSIGN_OR_RETURN(s.epoch, json_get<int64_t>(json, "epoch", where));
  LS_ASSIGN_OR_RETURN(s.position, json_get<int64_t>(json, "position", where));
  LS_ASSIGN_OR_RETURN(s.calls, json_get<int64_t>(json, "calls", where));
  if (json.contains("filter")) LS_RETURN_IF_ERROR(parse_filter(json["filter"], where, s));
  return s;
}

Status check_state(const SavedState& s, size_t prompts) {
  const size_t count = s.visited.size();
  const bool lengths =
      s.success.size() == count && s.records.size() == count && s.draws.size() == count;
  const bool indices = std::ranges::is_sorted(s.visited, std::less_equal<>()) &&
                       (count == 0 || s.visited.back() < prompts);
  if (!lengths || !indices || s.epoch < 1)
    return corrupt("saved prompt sampler: contradicts itself");
  return ok_status();
}

// Writes the saved, rearranged beginning of an epoch's order; the rest is unchanged.
Status move_in(const std::vector<uint32_t>& moved, std::vector<uint32_t>& order) {
  if (moved.size() > order.size()) return corrupt("saved prompt sampler: its order is too long");
  std::vector<uint32_t> now(moved),
      before(order.begin(), order.begin() + static_cast<long>(moved.size()));
  std::ranges::sort(now);
  std::ranges::sort(before);
  if (now != before) return corrupt("saved prompt sampler: its order is of another epoch");
  std::ranges::copy(moved, order.begin());
  return ok_status();
}

}  // namespace

Json PromptSampler::state(const Snapshot& s) const {
  Json visited = Json::array(), success = Json::array(), records = Json::array(),
       draws = Json::array(), streaks = Json::array();
  for (size_t i = 0; i < s.visits.size(); ++i) {
    const Visits& v = s.visits[i];
    if (v.draws == 0 && v.records == 0) continue;
    visited.push_back(i);
    success.push_back(v.success);
    records.push_back(v.records);
    draws.push_back(v.draws);
    streaks.push_back(v.streak);
  }
  const std::vector<uint32_t> moved(s.order.begin(), s.order.begin() + static_cast<long>(s.moved));
  Json out = {{"seed", seed_},
              {"prompts", prompts_.size()},
              {"fingerprint", fingerprint_},
              {"options", fingerprint_of(options_)},
              {"visited", visited},
              {"success", success},
              {"records", records},
              {"draws", draws},
              {"moved", moved},
              {"window", s.window},
              {"epoch", s.epoch},
              {"position", s.position},
              {"calls", s.calls}};
  if (filters()) {
    out["filter"] = {{"streaks", streaks},
                     {"p_easy", s.exploration.p_easy},
                     {"p_hard", s.exploration.p_hard},
                     {"turns", s.turns}};
  }
  return out;
}

Status PromptSampler::restore(const Json& state) {
  LS_ASSIGN_OR_RETURN(SavedState saved, parse_state(state));
  if (saved.fingerprint != fingerprint_) {
    return invalid_argument(
        fmt::format("the data set has changed since the checkpoint ({} prompts "
                    "then, {} now, other "
                    "contents): resume with the "
                    "same data files and prompt options, or start a new run",
                    saved.prompts, prompts_.size()));
  }
  if (saved.seed != seed_) {
    return invalid_argument(
        fmt::format("the seed has changed since the checkpoint ({} then, {} "
                    "now): resume with the same seed",
                    saved.seed, seed_));
  }
  LS_RETURN_IF_ERROR(check_state(saved, prompts_.size()));
  Snapshot restored;
  const bool same_options = saved.options == fingerprint_of(options_);
  const int windows = static_cast<int>(options_.curriculum_iterations.size());
  if (same_options && saved.window != kNoEpoch && (saved.window < -1 || saved.window >= windows))
    return corrupt("saved prompt sampler: it names a stage that there is not");
  restored.window = same_options ? saved.window : kNoEpoch;
  if (restored.window != kNoEpoch) {
    restored.order = epoch_order(saved.epoch - 1, restored.window);
    LS_RETURN_IF_ERROR(move_in(saved.moved, restored.order));
    restored.moved = saved.moved.size();
    if (saved.position < 0 || saved.position > static_cast<int64_t>(restored.order.size()))
      return corrupt("saved prompt sampler: its position is outside the epoch");
    restored.position = saved.position;
  }
  restored.visits.resize(prompts_.size());
  for (size_t v = 0; v < saved.visited.size(); ++v)
    restored.visits[saved.visited[v]] = {saved.success[v], saved.records[v], saved.draws[v]};
  if (filters()) {
    for (size_t v = 0; v < saved.streaks.size(); ++v)
      restored.visits[saved.visited[v]].streak = saved.streaks[v];
    restored.exploration = saved.exploration;
    restored.turns = saved.turns;
  }
  restored.epoch = saved.epoch;
  restored.calls = saved.calls;
  now_ = std::move(restored);
  return ok_status();
}

}  // namespace longshot::prompts

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "base/rng.h"
#include "prompts/prompts.h"

namespace longshot::prompts {
namespace {

constexpr uint64_t kEpochStream = 0x65706F6368;           // "epoch"
constexpr uint64_t kPriorityStream = 0x7072696F72697479;  // "priority"
constexpr int kNoEpoch = -2;  // a window that no iteration has: the next call starts an epoch
constexpr double kLeastRecordWeight = 0.3;

uint64_t stream_key(uint64_t seed, uint64_t stream, int64_t number) {
  return hash_combine(hash_combine(seed, stream), static_cast<uint64_t>(number));
}

uint64_t fingerprint_of(const std::vector<data::Prompt>& prompts) {
  uint64_t hash = prompts.size();
  for (const data::Prompt& p : prompts) {
    hash = hash_combine(hash, hash64(p.id));
    hash = hash_combine(hash, hash64(p.text));
    for (const data::Message& m : p.messages) {
      hash = hash_combine(hash, hash_combine(hash64(m.role), hash64(m.content)));
    }
    hash = hash_combine(hash, hash64(p.ground_truth));
    hash = hash_combine(hash, hash64(fmt::format("{}", p.difficulty)));
  }
  return hash;
}

uint64_t fingerprint_of(const SamplerOptions& options) {
  return hash64(fmt::format("{} {} {} {}", options.order,
                            fmt::join(options.curriculum_iterations, ","),
                            fmt::join(options.curriculum_min_difficulty, ","),
                            fmt::join(options.curriculum_max_difficulty, ",")));
}

Status check_table(const SamplerOptions& options) {
  const auto& from = options.curriculum_iterations;
  if (options.order == "curriculum" && from.empty()) {
    return invalid_argument(
        "order 'curriculum' needs curriculum_iterations "
        "with their difficulties");
  }
  if (options.order == "uniform" && !from.empty()) {
    return invalid_argument("curriculum_iterations is set, but order 'uniform' does not use it");
  }
  if (options.curriculum_min_difficulty.size() != from.size() ||
      options.curriculum_max_difficulty.size() != from.size()) {
    return invalid_argument(
        fmt::format("curriculum_iterations, curriculum_min_difficulty and "
                    "curriculum_max_difficulty must be equally long; "
                    "they have {}, {} and {} entries",
                    from.size(), options.curriculum_min_difficulty.size(),
                    options.curriculum_max_difficulty.size()));
  }
  if (std::adjacent_find(from.begin(), from.end(), std::greater_equal<>()) != from.end()) {
    return invalid_argument("curriculum_iterations must ascend");
  }
  return ok_status();
}

Status check_windows(const std::vector<data::Prompt>& prompts, const SamplerOptions& options) {
  for (size_t i = 0; i < options.curriculum_iterations.size(); ++i) {
    const double low = options.curriculum_min_difficulty[i],
                 high = options.curriculum_max_difficulty[i];
    const auto inside = [&](const data::Prompt& p) {
      return p.difficulty >= low && p.difficulty <= high;
    };
    if (std::none_of(prompts.begin(), prompts.end(), inside)) {
      return invalid_argument(
          fmt::format("the curriculum leaves no prompt from iteration {} on: "
                      "none has a difficulty in [{}, {}]",
                      options.curriculum_iterations[i], low, high));
    }
  }
  return ok_status();
}

Status check_ids(const std::vector<data::Prompt>& prompts) {
  std::unordered_set<std::string> seen;
  for (const data::Prompt& p : prompts) {
    if (!seen.insert(p.id).second) return invalid_argument("prompt id '" + p.id + "' occurs twice");
  }
  return ok_status();
}

Status check_options(const std::vector<data::Prompt>& prompts, const SamplerOptions& options) {
  if (prompts.empty()) return invalid_argument("a sampler needs at least one prompt");
  if (options.order != "uniform" && options.order != "curriculum" &&
      options.order != "prioritized") {
    return invalid_argument("unknown order '" + options.order +
                            "'; known are uniform, curriculum, prioritized");
  }
  if (!(options.prioritized_floor > 0 && options.prioritized_floor <= 1)) {
    return invalid_argument("prioritized_floor must be in (0, 1]");
  }
  LS_RETURN_IF_ERROR(check_ids(prompts));
  LS_RETURN_IF_ERROR(check_table(options));
  return check_windows(prompts, options);
}

}  // namespace

Result<PromptSampler> PromptSampler::create(std::vector<data::Prompt> prompts,
                                            SamplerOptions options, uint64_t seed) {
  LS_RETURN_IF_ERROR(check_options(prompts, options));
  return PromptSampler(std::move(prompts), std::move(options), seed);
}

PromptSampler::PromptSampler(std::vector<data::Prompt> prompts, SamplerOptions options,
                             uint64_t seed)
    : prompts_(std::move(prompts)),
      options_(std::move(options)),
      seed_(seed),
      fingerprint_(fingerprint_of(prompts_)),
      visits_(prompts_.size()) {
  const Status status = check_options(prompts_, options_);
  LS_CHECK(status.ok(), status.message());
  for (size_t i = 0; i < prompts_.size(); ++i) index_.emplace(prompts_[i].id, i);
  start_epoch(-1);
}

int PromptSampler::window_at(int64_t iteration) const {
  const auto& from = options_.curriculum_iterations;
  const auto after = std::upper_bound(from.begin(), from.end(), static_cast<double>(iteration));
  return static_cast<int>(after - from.begin()) - 1;
}

bool PromptSampler::eligible(size_t prompt, int window) const {
  if (window < 0) return true;
  const auto row = static_cast<size_t>(window);
  const double difficulty = prompts_[prompt].difficulty;
  return difficulty >= options_.curriculum_min_difficulty[row] &&
         difficulty <= options_.curriculum_max_difficulty[row];
}

void PromptSampler::start_epoch(int window) {
  order_.clear();
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (eligible(i, window)) order_.push_back(static_cast<uint32_t>(i));
  }
  CounterRng rng(stream_key(seed_, kEpochStream, epoch_++));
  rng.shuffle(order_);
  position_ = 0;
  window_ = window;
}

// Where a call spans two epochs, prompts it already holds are put off to a
// later place of the new epoch.
std::vector<uint32_t> PromptSampler::next_in_epoch(size_t count, int window) {
  if (window != window_) start_epoch(window);
  count = std::min(count, order_.size());
  std::vector<uint32_t> chosen;
  std::unordered_set<uint32_t> held;
  while (chosen.size() < count) {
    if (position_ == static_cast<int64_t>(order_.size())) start_epoch(window);
    const auto at = order_.begin() + position_;
    const auto fresh =
        std::find_if(at, order_.end(), [&](uint32_t i) { return !held.contains(i); });
    LS_CHECK(fresh != order_.end(), "an epoch holds more prompts than one call takes");
    std::rotate(at, fresh, fresh + 1);
    held.insert(order_[static_cast<size_t>(position_)]);
    chosen.push_back(order_[static_cast<size_t>(position_++)]);
  }
  return chosen;
}

// Weighted draws without replacement: the largest values of log(u) / w
// (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006)
// are distributed as draws one after the other in proportion to w.
std::vector<uint32_t> PromptSampler::next_prioritized(size_t count, int window) const {
  CounterRng rng(stream_key(seed_, kPriorityStream, calls_));
  std::vector<std::pair<double, uint32_t>> keys;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    const double u = 1.0 - rng.next_double();  // in (0, 1]
    if (!eligible(i, window)) continue;
    const double weight =
        std::max(options_.prioritized_floor, 1.0 - std::max(0.0, visits_[i].success));
    keys.emplace_back(std::log(u) / weight, static_cast<uint32_t>(i));
  }
  count = std::min(count, keys.size());
  std::partial_sort(keys.begin(), keys.begin() + static_cast<long>(count), keys.end(),
                    std::greater<>());
  std::vector<uint32_t> chosen;
  for (size_t i = 0; i < count; ++i) chosen.push_back(keys[i].second);
  return chosen;
}

std::vector<data::Draw> PromptSampler::next(int count, int64_t iteration) {
  LS_CHECK(count >= 0, "count must not be negative");
  const int window = window_at(iteration);
  const auto wanted = static_cast<size_t>(count);
  const auto chosen = options_.order == "prioritized" ? next_prioritized(wanted, window)
                                                      : next_in_epoch(wanted, window);
  ++calls_;
  std::vector<data::Draw> draws;
  for (const uint32_t i : chosen) {
    draws.push_back({prompts_[i], hash_combine(seed_, static_cast<uint64_t>(visits_[i].draws++))});
  }
  return draws;
}

void PromptSampler::record(const std::string& prompt_id, double mean_correct) {
  const auto it = index_.find(prompt_id);
  if (it == index_.end()) return;
  Visits& visits = visits_[it->second];
  const double weight = std::max(kLeastRecordWeight, 1.0 / static_cast<double>(++visits.records));
  visits.success =
      visits.success < 0 ? mean_correct : visits.success + weight * (mean_correct - visits.success);
}

const data::Prompt* PromptSampler::find(const std::string& prompt_id) const {
  const auto it = index_.find(prompt_id);
  return it == index_.end() ? nullptr : &prompts_[it->second];
}

double PromptSampler::success_rate(const std::string& prompt_id) const {
  const auto it = index_.find(prompt_id);
  return it == index_.end() ? -1 : visits_[it->second].success;
}

Json PromptSampler::state() const {
  Json success = Json::array(), records = Json::array(), draws = Json::array();
  for (const Visits& v : visits_) {
    success.push_back(v.success);
    records.push_back(v.records);
    draws.push_back(v.draws);
  }
  return {{"seed", seed_},
          {"prompts", prompts_.size()},
          {"fingerprint", fingerprint_},
          {"options", fingerprint_of(options_)},
          {"success", success},
          {"records", records},
          {"draws", draws},
          {"order", order_},
          {"window", window_},
          {"epoch", epoch_},
          {"position", position_},
          {"calls", calls_}};
}

namespace {

// The parts of a saved state, read and checked before any of them is taken
// over.
struct SavedState {
  uint64_t seed = 0, fingerprint = 0, options = 0;
  size_t prompts = 0;
  std::vector<double> success;
  std::vector<int64_t> records, draws;
  std::vector<uint32_t> order;
  int window = -1;
  int64_t epoch = 0, position = 0, calls = 0;
};

Result<SavedState> parse_state(const Json& json) {
  const std::string where = "saved prompt sampler";
  SavedState s;
  LS_ASSIGN_OR_RETURN(s.seed, json_get<uint64_t>(json, "seed", where));
  LS_ASSIGN_OR_RETURN(s.fingerprint, json_get<uint64_t>(json, "fingerprint", where));
  LS_ASSIGN_OR_RETURN(s.options, json_get<uint64_t>(json, "options", where));
  LS_ASSIGN_OR_RETURN(s.prompts, json_get<size_t>(json, "prompts", where));
  LS_ASSIGN_OR_RETURN(s.success, json_get<std::vector<double>>(json, "success", where));
  LS_ASSIGN_OR_RETURN(s.records, json_get<std::vector<int64_t>>(json, "records", where));
  LS_ASSIGN_OR_RETURN(s.draws, json_get<std::vector<int64_t>>(json, "draws", where));
  LS_ASSIGN_OR_RETURN(s.order, json_get<std::vector<uint32_t>>(json, "order", where));
  LS_ASSIGN_OR_RETURN(s.window, json_get<int>(json, "window", where));
  LS_ASSIGN_OR_RETURN(s.epoch, json_get<int64_t>(json, "epoch", where));
  LS_ASSIGN_OR_RETURN(s.position, json_get<int64_t>(json, "position", where));
  LS_ASSIGN_OR_RETURN(s.calls, json_get<int64_t>(json, "calls", where));
  return s;
}

Status check_state(const SavedState& s, size_t prompts) {
  const bool lengths = s.success.size() == prompts && s.records.size() == prompts &&
                       s.draws.size() == prompts && s.order.size() <= prompts;
  const bool position = s.position >= 0 && s.position <= static_cast<int64_t>(s.order.size());
  const bool indices =
      std::all_of(s.order.begin(), s.order.end(), [&](uint32_t i) { return i < prompts; });
  if (!lengths || !position || !indices) return corrupt("saved prompt sampler: contradicts itself");
  return ok_status();
}

}  // namespace

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
  for (size_t i = 0; i < visits_.size(); ++i)
    visits_[i] = {saved.success[i], saved.records[i], saved.draws[i]};
  order_ = std::move(saved.order);
  window_ = saved.options == fingerprint_of(options_) ? saved.window : kNoEpoch;
  epoch_ = saved.epoch;
  position_ = saved.position;
  calls_ = saved.calls;
  return ok_status();
}

std::string PromptSampler::debug_string() const {
  const auto seen =
      std::count_if(visits_.begin(), visits_.end(), [](const Visits& v) { return v.draws > 0; });
  double sum = 0;
  int64_t rated = 0;
  for (const Visits& v : visits_) {
    if (v.success < 0) continue;
    sum += v.success;
    ++rated;
  }
  return fmt::format(
      "{} sampler: {} prompts, {} seen, epoch {}, position {} of {}, mean "
      "success {:.3f} of {}",
      options_.order, prompts_.size(), seen, epoch_, position_, order_.size(),
      rated == 0 ? 0.0 : sum / static_cast<double>(rated), rated);
}

}  // namespace longshot::prompts

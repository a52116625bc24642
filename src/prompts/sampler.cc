#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "base/rng.h"
#include "prompts/sampler.h"

namespace longshot::prompts {
namespace {

constexpr uint64_t kEpochStream = 0x65706F6368;           // "epoch"
constexpr uint64_t kPriorityStream = 0x7072696F72697479;  // "priority"
constexpr uint64_t kFilterStream = 0x66696C746572;        // "filter"
constexpr double kMinRecordWeight = 0.3;

uint64_t stream_key(uint64_t seed, uint64_t stream, int64_t number) {
  return hash_combine(hash_combine(seed, stream), static_cast<uint64_t>(number));
}

// Continues `hash` with a prompt.
uint64_t with_prompt(uint64_t hash, const data::Prompt& p) {
  hash = hash_combine(hash, hash64(p.id));
  hash = hash_combine(hash, hash64(p.text));
  for (const data::Message& m : p.messages) {
    hash = hash_combine(hash, hash_combine(hash64(m.role), hash64(m.content.text())));
  }
  hash = hash_combine(hash, hash64(p.ground_truth));
  return hash_combine(hash, hash64(fmt::format("{}", p.difficulty)));
}

uint64_t fingerprint_of(const std::vector<data::Prompt>& prompts) {
  uint64_t hash = prompts.size();
  for (const data::Prompt& p : prompts) hash = with_prompt(hash, p);
  return hash;
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
  LS_RETURN_IF_ERROR(check_ids(prompts));
  LS_RETURN_IF_ERROR(check_curriculum(options));
  return check_windows(prompts, options);
}

}  // namespace

Status check_curriculum(const SamplerOptions& options) {
  const auto& from = options.curriculum_iterations;
  if (options.order == Order::curriculum && from.empty()) {
    return invalid_argument(
        "data.order=curriculum needs data.curriculum_iterations with their difficulties");
  }
  if (options.order == Order::uniform && !from.empty()) {
    return invalid_argument(
        "data.curriculum_iterations is set, but data.order=uniform does not use it");
  }
  if (options.curriculum_min_difficulty.size() != from.size() ||
      options.curriculum_max_difficulty.size() != from.size()) {
    return invalid_argument(
        fmt::format("data.curriculum_iterations, data.curriculum_min_difficulty and "
                    "data.curriculum_max_difficulty must be equally long; "
                    "they have {}, {} and {} entries",
                    from.size(), options.curriculum_min_difficulty.size(),
                    options.curriculum_max_difficulty.size()));
  }
  if (std::adjacent_find(from.begin(), from.end(), std::greater_equal<>()) != from.end()) {
    return invalid_argument("data.curriculum_iterations must ascend");
  }
  return ok_status();
}

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
      fingerprint_(fingerprint_of(prompts_)) {
  now_.visits.resize(prompts_.size());
  index_.reserve(prompts_.size());
  for (size_t i = 0; i < prompts_.size(); ++i)
    index_.emplace(prompts_[i].id, static_cast<uint32_t>(i));
  LS_CHECK(index_.size() == prompts_.size(), "ids of prompts are unique");
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

std::vector<size_t> PromptSampler::stage_sizes() const {
  std::vector<size_t> sizes;
  for (size_t w = 0; w < options_.curriculum_iterations.size(); ++w) {
    size_t count = 0;
    for (size_t i = 0; i < prompts_.size(); ++i) count += eligible(i, static_cast<int>(w));
    sizes.push_back(count);
  }
  if (sizes.empty()) sizes.push_back(size());
  return sizes;
}

std::vector<uint32_t> PromptSampler::epoch_order(int64_t epoch, int window) const {
  std::vector<uint32_t> order;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    if (eligible(i, window)) order.push_back(static_cast<uint32_t>(i));
  }
  CounterRng rng(stream_key(seed_, kEpochStream, epoch));
  rng.shuffle(order);
  return order;
}

void PromptSampler::start_epoch(int window) {
  now_.order = epoch_order(now_.epoch++, window);
  now_.moved = 0;
  now_.position = 0;
  now_.window = window;
}

// True if the filter leaves the prompt out in this iteration. Counts its turn.
bool PromptSampler::skips(uint32_t prompt, int64_t iteration) {
  if (!filters()) return false;
  ++now_.turns;
  CounterRng rng(
      hash_combine(stream_key(seed_, kFilterStream, iteration), hash64(prompts_[prompt].id)));
  if (rng.next_double() < now_.exploration.probability(now_.visits[prompt].streak)) return false;
  ++skipped_;
  return true;
}

// If a call spans two epochs, prompts that it already returns are moved to a later place of the new
// epoch. With a filter such prompts may be all that is left of an epoch, which then ends.
std::vector<uint32_t> PromptSampler::next_in_epoch(size_t count, int window, int64_t iteration) {
  if (window != now_.window) start_epoch(window);
  count = std::min(count, now_.order.size());
  std::vector<uint32_t> chosen;
  std::unordered_set<uint32_t> held;
  size_t may_skip = now_.order.size();
  while (chosen.size() < count) {
    if (now_.position == static_cast<int64_t>(now_.order.size())) start_epoch(window);
    const auto at = now_.order.begin() + now_.position;
    const auto fresh =
        std::find_if(at, now_.order.end(), [&](uint32_t i) { return !held.contains(i); });
    if (fresh == now_.order.end()) {
      LS_CHECK(filters(), "an epoch holds more prompts than one call takes");
      start_epoch(window);
      continue;
    }
    if (fresh != at)
      now_.moved = std::max(now_.moved, static_cast<size_t>(fresh + 1 - now_.order.begin()));
    std::rotate(at, fresh, fresh + 1);
    const uint32_t prompt = now_.order[static_cast<size_t>(now_.position++)];
    if (may_skip > 0 && skips(prompt, iteration)) {
      --may_skip;
      continue;
    }
    held.insert(prompt);
    chosen.push_back(prompt);
  }
  return chosen;
}

// Weighted draws without replacement: the items with the largest log(u) / w (Efraimidis and
// Spirakis, "Weighted random sampling with a reservoir", 2006) are distributed like successive
// draws in proportion to w.
std::vector<uint32_t> PromptSampler::next_prioritized(size_t count, int window, int64_t iteration) {
  CounterRng rng(stream_key(seed_, kPriorityStream, now_.calls));
  std::vector<std::pair<double, uint32_t>> keys;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    const double u = 1.0 - rng.next_double();  // in (0, 1]
    if (!eligible(i, window)) continue;
    const double weight =
        std::max(options_.prioritized_floor, 1.0 - std::max(0.0, now_.visits[i].success));
    keys.emplace_back(std::log(u) / weight, static_cast<uint32_t>(i));
  }
  count = std::min(count, keys.size());
  const size_t sorted = filters() ? keys.size() : count;
  std::partial_sort(keys.begin(), keys.begin() + static_cast<long>(sorted), keys.end(),
                    std::greater<>());
  std::vector<uint32_t> chosen, skipped;
  for (size_t i = 0; chosen.size() < count && i < keys.size(); ++i)
    (skips(keys[i].second, iteration) ? skipped : chosen).push_back(keys[i].second);
  for (size_t i = 0; chosen.size() < count; ++i, --skipped_) chosen.push_back(skipped[i]);
  return chosen;
}

std::vector<data::Draw> PromptSampler::next(int count, int64_t iteration) {
  LS_CHECK(count >= 0, "count must not be negative");
  const int window = window_at(iteration);
  const auto wanted = static_cast<size_t>(count);
  const auto chosen = options_.order == Order::prioritized
                          ? next_prioritized(wanted, window, iteration)
                          : next_in_epoch(wanted, window, iteration);
  ++now_.calls;
  std::vector<data::Draw> draws;
  for (const uint32_t i : chosen) {
    draws.push_back(
        {prompts_[i], hash_combine(seed_, static_cast<uint64_t>(now_.visits[i].draws++))});
  }
  return draws;
}

void PromptSampler::record(const std::string& prompt_id, double mean_correct) {
  const auto it = index_.find(prompt_id);
  if (it == index_.end()) return;
  Visits& visits = now_.visits[it->second];
  const double weight = std::max(kMinRecordWeight, 1.0 / static_cast<double>(++visits.records));
  visits.success =
      visits.success < 0 ? mean_correct : visits.success + weight * (mean_correct - visits.success);
}

void PromptSampler::record_rewards(const std::string& prompt_id, bool has_variance,
                                   double mean_reward) {
  const auto it = index_.find(prompt_id);
  if (!filters() || it == index_.end()) return;
  Streak& streak = now_.visits[it->second].streak;
  streak = next_streak(streak, has_variance, mean_reward);
  outcomes_.add(has_variance, mean_reward);
}

void PromptSampler::end_iteration() {
  last_outcomes_ = std::exchange(outcomes_, {});
  if (now_.turns >= static_cast<int64_t>(size())) now_.exploration.adjust(last_outcomes_);
}

Metrics PromptSampler::take_metrics() {
  if (!filters()) return {};
  Metrics metrics = {{"prompts/skipped", static_cast<double>(std::exchange(skipped_, 0))},
                     {"prompts/p_easy", now_.exploration.p_easy},
                     {"prompts/p_hard", now_.exploration.p_hard}};
  if (last_outcomes_.groups == 0) return metrics;
  metrics["prompts/easy_share"] = last_outcomes_.easy_share();
  metrics["prompts/hard_share"] = last_outcomes_.hard_share();
  return metrics;
}

void PromptSampler::adopt(const PromptSampler& other) {
  LS_CHECK(now_.calls == 0, "prompts were drawn already");
  for (size_t i = 0; i < prompts_.size(); ++i) {
    const auto found = other.index_.find(prompts_[i].id);
    if (found == other.index_.end()) continue;
    const Visits& known = other.now_.visits[found->second];
    if (with_prompt(0, prompts_[i]) == with_prompt(0, other.prompts_[found->second]))
      now_.visits[i] = known;
    now_.visits[i].draws = known.draws;  // else a draw could repeat the seed of an unfinished one
  }
  now_.calls = other.now_.calls;
  now_.exploration = other.now_.exploration;
  now_.turns = other.now_.turns;
}

const data::Prompt* PromptSampler::find(const std::string& prompt_id) const {
  const auto it = index_.find(prompt_id);
  return it == index_.end() ? nullptr : &prompts_[it->second];
}

double PromptSampler::success_rate(const std::string& prompt_id) const {
  const auto it = index_.find(prompt_id);
  return it == index_.end() ? -1 : now_.visits[it->second].success;
}

std::string PromptSampler::debug_string() const {
  const auto seen = std::count_if(now_.visits.begin(), now_.visits.end(),
                                  [](const Visits& v) { return v.draws > 0; });
  double sum = 0;
  int64_t rated = 0;
  for (const Visits& v : now_.visits) {
    if (v.success < 0) continue;
    sum += v.success;
    ++rated;
  }
  return fmt::format(
      "{} sampler: {} prompts, {} seen, epoch {}, position {} of {}, mean "
      "success {:.3f} of {}",
      name_of(options_.order), prompts_.size(), seen, now_.epoch, now_.position, now_.order.size(),
      rated == 0 ? 0.0 : sum / static_cast<double>(rated), rated);
}

}  // namespace longshot::prompts

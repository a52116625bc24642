#include "curate/select/rules.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/rng.h"

namespace longshot::curate {
namespace {

// Samples of one prompt on their way to a selection.
class Chooser {
 public:
  Chooser(const JudgedPrompt& prompt, const RuleOptions& options)
      : samples_(prompt.samples),
        options_(options),
        reasons_(prompt.samples.size()),
        used_(prompt.samples.size()),
        lengths_(lengths_of(prompt.samples)),
        rng_(hash_combine(options.seed, hash64(prompt.id))) {}

  Selection run() {
    switch (options_.rule) {
      case SelectRule::correct:
        take(passing(true), options_.prefer, DropReason::over_cap, options_.per_problem);
        break;
      case SelectRule::shortest:
        take(passing(true), Preference::shortest, DropReason::not_best, cap_of_one());
        break;
      case SelectRule::best_of:
        take_best(passing(false));
        break;
      case SelectRule::pairs:
        take_pairs();
        break;
    }
    return finish();
  }

 private:
  using Places = std::vector<size_t>;

  static std::vector<int64_t> lengths_of(const std::vector<JudgedSample>& samples) {
    const bool known = std::all_of(samples.begin(), samples.end(), [](const JudgedSample& s) {
      return s.finish.empty() || s.tokens > 0;
    });
    std::vector<int64_t> lengths;
    for (const JudgedSample& s : samples)
      lengths.push_back(known ? s.tokens : characters(s.response));
    return lengths;
  }

  int cap_of_one() const { return options_.per_problem > 0 ? options_.per_problem : 1; }
  void drop(size_t place, DropReason reason) {
    if (!reasons_[place]) reasons_[place] = reason;
  }

  // Drops samples whose response another one has already.
  void drop_duplicates(Places& places) {
    if (options_.duplicates) return;
    std::unordered_set<std::string> seen;
    std::erase_if(places, [&](size_t place) {
      const bool again = !seen.insert(without_spacing(samples_[place].response)).second;
      if (again) drop(place, DropReason::duplicate);
      return again;
    });
  }

  // The samples that the filter passes, only correct ones if required.
  Places passing(bool correct) {
    Places places;
    for (size_t i = 0; i < samples_.size(); ++i) {
      auto reason = reason_to_drop(samples_[i], options_.filter);
      if (correct && !samples_[i].correct) reason = wrong_or(reason);
      if (reason) {
        drop(i, *reason);
      } else {
        places.push_back(i);
      }
    }
    drop_duplicates(places);
    return places;
  }

  // A wrong answer tells more than a length or missing marks.
  static DropReason wrong_or(std::optional<DropReason> reason) {
    const bool earlier =
        reason && (*reason == DropReason::failed || *reason == DropReason::beyond ||
                   *reason == DropReason::not_judged || *reason == DropReason::cut ||
                   *reason == DropReason::loop);
    return earlier ? *reason : DropReason::wrong;
  }

  void sort_by_length(Places& places, bool longest) const {
    std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
      return longest ? lengths_[a] > lengths_[b] : lengths_[a] < lengths_[b];
    });
  }

  // Uses the first `cap` places (0 = all) in the order of preference.
  void take(Places places, Preference prefer, DropReason otherwise, int cap) {
    if (prefer == Preference::random) {
      rng_.shuffle(places);
    } else {
      sort_by_length(places, prefer == Preference::longest);
    }
    use_first(places, otherwise, cap);
  }

  void use_first(const Places& places, DropReason otherwise, int cap) {
    for (size_t i = 0; i < places.size(); ++i) {
      if (cap == 0 || i < static_cast<size_t>(cap)) {
        used_[places[i]] = true;
        responses_.push_back(places[i]);
      } else {
        drop(places[i], otherwise);
      }
    }
    std::sort(responses_.begin(), responses_.end());
  }

  void take_best(Places places) {
    sort_by_length(places, false);
    std::stable_sort(places.begin(), places.end(),
                     [&](size_t a, size_t b) { return *samples_[a].score > *samples_[b].score; });
    use_first(places, DropReason::not_best, cap_of_one());
  }

  void take_pairs() {
    const auto chosen = find_chosen();
    Places wrong, correct;
    for (size_t i = 0; i < samples_.size(); ++i) {
      if (i == chosen) continue;
      if (const auto reason = reason_not_to_reject(samples_[i], options_.filter)) {
        drop(i, *reason);
      } else if (chosen && is_rejected(*chosen, i)) {
        (samples_[i].correct ? correct : wrong).push_back(i);
      } else {
        drop(i, chosen || !samples_[i].correct ? DropReason::unpaired : reason_of_correct(i));
      }
    }
    for (Places* places : {&wrong, &correct}) {
      drop_duplicates(*places);
      sort_by_length(*places, true);
    }
    pair(chosen, in_turns(wrong, correct));
  }

  // Without a chosen response: why this correct one is not it.
  DropReason reason_of_correct(size_t place) const {
    return reason_to_drop(samples_[place], options_.filter).value_or(DropReason::unpaired);
  }

  std::optional<size_t> find_chosen() const {
    std::optional<size_t> chosen;
    for (size_t i = 0; i < samples_.size(); ++i) {
      if (!samples_[i].correct || reason_to_drop(samples_[i], options_.filter)) continue;
      if (!chosen || lengths_[i] < lengths_[*chosen]) chosen = i;
    }
    return chosen;
  }

  bool is_rejected(size_t chosen, size_t place) const {
    if (!samples_[place].correct) return lengths_[place] > lengths_[chosen];
    return static_cast<double>(lengths_[place]) >=
           options_.ratio * static_cast<double>(lengths_[chosen]);
  }

  static Places in_turns(const Places& a, const Places& b) {
    Places all;
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (i < a.size()) all.push_back(a[i]);
      if (i < b.size()) all.push_back(b[i]);
    }
    return all;
  }

  void pair(std::optional<size_t> chosen, const Places& rejected) {
    if (!chosen) return;
    const auto cap = static_cast<size_t>(options_.per_problem);
    for (size_t i = 0; i < rejected.size(); ++i) {
      if (cap > 0 && i >= cap) {
        drop(rejected[i], DropReason::over_cap);
        continue;
      }
      pairs_.emplace_back(*chosen, rejected[i]);
      used_[rejected[i]] = used_[*chosen] = true;
    }
    if (!used_[*chosen]) drop(*chosen, DropReason::unpaired);
    std::sort(pairs_.begin(), pairs_.end());
  }

  Selection finish() {
    Selection selection{std::move(responses_), std::move(pairs_), {}};
    for (size_t i = 0; i < samples_.size(); ++i) {
      LS_CHECK(used_[i] != reasons_[i].has_value(), "a sample is used or dropped");
      if (reasons_[i]) selection.drops.push_back({i, *reasons_[i]});
    }
    return selection;
  }

  const std::vector<JudgedSample>& samples_;
  const RuleOptions& options_;
  std::vector<std::optional<DropReason>> reasons_;
  std::vector<bool> used_;
  const std::vector<int64_t> lengths_;
  CounterRng rng_;
  Places responses_;
  std::vector<std::pair<size_t, size_t>> pairs_;
};

}  // namespace

Selection select(const JudgedPrompt& prompt, const RuleOptions& options) {
  return Chooser(prompt, options).run();
}

}  // namespace longshot::curate

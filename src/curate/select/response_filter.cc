#include "curate/select/response_filter.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "base/rng.h"
#include "base/text/text.h"

namespace longshot::curate {
namespace {

constexpr size_t kGram = 8;
constexpr size_t kLeastGrams = 64;

size_t utf8_length(unsigned char lead) {
  if (lead >= 0xF0) return 4;
  if (lead >= 0xE0) return 3;
  return lead >= 0xC0 ? 2 : 1;
}

// Hashes of the words; see repetition().
std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> hashes;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && (is_alpha(text[end]) || is_digit(text[end]))) ++end;
    if (end == i) {
      end = std::min(text.size(), i + utf8_length(static_cast<unsigned char>(text[i])));
      if (static_cast<unsigned char>(text[i]) < 0x80) {
        i = end;
        continue;
      }
    }
    hashes.push_back(hash64(text.substr(i, end - i)));
    i = end;
  }
  return hashes;
}

bool outside(int64_t value, int64_t most) {
  return most > 0 && value > most;
}

// The reasons that apply to every response.
std::optional<DropReason> common_reason(const JudgedSample& sample, const ResponseFilter& filter) {
  if (filter.first > 0 && sample.index >= static_cast<uint64_t>(filter.first))
    return DropReason::beyond;
  if (!sample.error.empty()) return DropReason::failed;
  if (!sample.score) return DropReason::not_judged;
  if (sample.finish == data::finish_reason_name(data::FinishReason::repetition))
    return DropReason::loop;
  const bool stopped = sample.finish == data::finish_reason_name(data::FinishReason::stop);
  if (!stopped && !filter.keep_cut) return DropReason::cut;
  return std::nullopt;
}

bool is_too_long(const JudgedSample& sample, const ResponseFilter& filter) {
  return outside(sample.tokens, filter.max_tokens) ||
         outside(characters(sample.response), filter.max_chars);
}

bool has_few_marks(const JudgedSample& sample, const ResponseFilter& filter) {
  const bool any = std::any_of(filter.min_marks.begin(), filter.min_marks.end(),
                               [](int count) { return count > 0; });
  if (!any && filter.min_mark_kinds == 0) return false;
  const MarkCounts counts = count_marks(sample.response);
  int kinds = 0;
  for (size_t kind = 0; kind < kThinkingMarks; ++kind) {
    if (counts[kind] < filter.min_marks[kind]) return true;
    kinds += counts[kind] > 0 ? 1 : 0;
  }
  return kinds < filter.min_mark_kinds;
}

}  // namespace

double repetition(const std::string& text) {
  const auto words = word_hashes(text);
  if (words.size() < kGram + kLeastGrams - 1) return 0;
  std::unordered_set<uint64_t> seen;
  size_t repeated = 0;
  const size_t grams = words.size() - kGram + 1;
  for (size_t i = 0; i < grams; ++i) {
    uint64_t hash = 0;
    for (size_t j = 0; j < kGram; ++j) hash = hash_combine(hash, words[i + j]);
    repeated += seen.insert(hash).second ? 0 : 1;
  }
  return static_cast<double>(repeated) / static_cast<double>(grams);
}

int64_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not a continuation byte
  });
}

std::string without_spacing(const std::string& text) {
  std::string out;
  for (const char c : trim(text)) {
    if (!is_space(c)) {
      out += c;
    } else if (out.back() != ' ') {
      out += ' ';
    }
  }
  return out;
}

std::optional<DropReason> reason_to_drop(const JudgedSample& sample, const ResponseFilter& filter) {
  if (const auto reason = common_reason(sample, filter)) return reason;
  const bool short_tokens = sample.tokens > 0 && sample.tokens < filter.min_tokens;
  if (short_tokens || characters(sample.response) < filter.min_chars) return DropReason::too_short;
  if (is_too_long(sample, filter)) return DropReason::too_long;
  if (filter.max_repetition < 1 && repetition(sample.response) > filter.max_repetition)
    return DropReason::repetitive;
  if (filter.min_score && *sample.score < *filter.min_score) return DropReason::low_score;
  if (has_few_marks(sample, filter)) return DropReason::few_marks;
  return std::nullopt;
}

std::optional<DropReason> reason_not_to_reject(const JudgedSample& sample,
                                               const ResponseFilter& filter) {
  if (const auto reason = common_reason(sample, filter)) return reason;
  if (is_too_long(sample, filter)) return DropReason::too_long;
  if (filter.max_repetition < 1 && repetition(sample.response) > filter.max_repetition)
    return DropReason::repetitive;
  return std::nullopt;
}

}  // namespace longshot::curate

#include "curate/contamination/evaluation_index.h"

#include <algorithm>

#include "base/rng.h"
#include "curate/text/shingles.h"

namespace longshot::curate {
namespace {

constexpr size_t kMostCandidates = 256;  // rows of a bucket whose similarity is computed

std::string words_at(std::string_view words, size_t first, int count) {
  size_t begin = 0;
  for (size_t i = 0; i < first; ++i) begin = words.find(' ', begin) + 1;
  size_t end = begin;
  for (int i = 0; i < count; ++i)
    end = std::min(words.find(' ', end) + (i + 1 < count ? 1 : 0), words.size());
  return std::string(words.substr(begin, end - begin));
}

uint64_t band_key(size_t band, uint64_t key) {
  return hash_combine(key, band);
}

}  // namespace

Result<EvaluationIndex> EvaluationIndex::create(const OverlapOptions& options) {
  LS_ASSIGN_OR_RETURN(const Bands bands, choose_bands(options.threshold, options.permutations));
  return EvaluationIndex(options, bands);
}

void EvaluationIndex::add_grams(const std::vector<uint64_t>& hashes, int length, uint32_t row,
                                Grams& grams) const {
  std::vector<uint64_t> runs;
  hash_runs(hashes, length, runs);
  for (const uint64_t run : runs) {
    Gram& gram = grams.try_emplace(run, Gram{row, row, 0}).first->second;
    if (gram.rows == 0 || gram.last != row) ++gram.rows;
    gram.last = row;
  }
}

void EvaluationIndex::add(std::string_view words) {
  const auto row = static_cast<uint32_t>(shingles_.size());
  std::vector<uint64_t> hashes;
  hash_words(words, hashes);
  const auto length = static_cast<int>(hashes.size());
  for (int n = options_.least_words; n <= options_.ngram; ++n) add_grams(hashes, n, row, grams_);
  if (length > 0 && length < options_.ngram) {
    add_grams(hashes, length, row, whole_);
    if (std::find(whole_lengths_.begin(), whole_lengths_.end(), length) == whole_lengths_.end())
      whole_lengths_.push_back(length);
  }
  shingle_set(words, options_.shingle, shingles_.emplace_back());
  std::vector<uint64_t> keys(static_cast<size_t>(signatures_.bands().bands));
  if (!signatures_.band_keys(words, keys.data())) return;
  for (size_t band = 0; band < keys.size(); ++band)
    band_rows_.emplace_back(band_key(band, keys[band]), row);
}

void EvaluationIndex::finish() {
  std::sort(band_rows_.begin(), band_rows_.end());
  std::sort(whole_lengths_.rbegin(), whole_lengths_.rend());
}

std::optional<Overlap> EvaluationIndex::find(std::string_view words) const {
  if (words.empty()) return std::nullopt;
  if (auto found = find_gram(words)) return found;
  return find_similar(words);
}

std::optional<Overlap> EvaluationIndex::find_runs(std::string_view words,
                                                  const std::vector<uint64_t>& hashes, int length,
                                                  const Grams& grams, int common) const {
  thread_local std::vector<uint64_t> runs;
  hash_runs(hashes, length, runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto gram = grams.find(runs[i]);
    if (gram == grams.end()) continue;
    if (common > 0 && gram->second.rows > static_cast<uint32_t>(common)) continue;
    return Overlap{gram->second.row, words_at(words, i, length), 0};
  }
  return std::nullopt;
}

// A problem of at least ngram words shares a run of ngram words; a shorter one is inside an
// evaluation row; a short evaluation row is inside the problem.
std::optional<Overlap> EvaluationIndex::find_gram(std::string_view words) const {
  thread_local std::vector<uint64_t> hashes;
  hash_words(words, hashes);
  const auto length = static_cast<int>(hashes.size());
  const int run = std::min(length, options_.ngram);
  if (run >= options_.least_words) {
    if (auto found = find_runs(words, hashes, run, grams_, options_.common)) return found;
  }
  for (const int whole : whole_lengths_) {
    const bool inside = whole >= options_.least_words && whole <= length;
    if (!inside && whole != length) continue;
    if (auto found = find_runs(words, hashes, whole, whole_, 0)) return found;
  }
  return std::nullopt;
}

std::optional<Overlap> EvaluationIndex::find_similar(std::string_view words) const {
  thread_local std::vector<uint64_t> keys, set;
  thread_local std::vector<uint32_t> candidates;
  keys.resize(static_cast<size_t>(signatures_.bands().bands));
  if (!signatures_.band_keys(words, keys.data())) return std::nullopt;
  candidates.clear();
  for (size_t band = 0; band < keys.size(); ++band) {
    const uint64_t key = band_key(band, keys[band]);
    auto at = std::lower_bound(band_rows_.begin(), band_rows_.end(), std::pair(key, 0U));
    for (size_t i = 0; i < kMostCandidates && at != band_rows_.end() && at->first == key; ++i, ++at)
      candidates.push_back(at->second);
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  if (candidates.empty()) return std::nullopt;
  shingle_set(words, options_.shingle, set);
  for (const uint32_t row : candidates) {
    const double similarity = jaccard(set, shingles_[row]);
    if (similarity >= options_.threshold - 1e-9) return Overlap{row, "", similarity};
  }
  return std::nullopt;
}

}  // namespace longshot::curate

#include "curate/duplicates/find_duplicates.h"

#include <algorithm>
#include <future>
#include <string>
#include <utility>

#include "base/os/stop.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "curate/duplicates/band_files.h"
#include "curate/duplicates/pair_checker.h"
#include "curate/duplicates/prefix_join.h"
#include "curate/text/shingles.h"

namespace longshot::curate {
namespace {

constexpr size_t kWindow = 1 << 15;     // rows read at once
constexpr int kLeastRange = 64;         // rows that a thread takes at once
constexpr size_t kAllPairsBucket = 24;  // larger buckets are joined by prefixes

// One search. The steps are equal texts, signatures, then the buckets of each band.
class Search {
 public:
  Search(const LineFile& words, const std::vector<bool>& alive, const DuplicateOptions& options,
         const Signatures& signatures, const std::function<void(int64_t, int64_t)>& on_progress)
      : words_(words),
        alive_(alive),
        options_(options),
        signatures_(signatures),
        on_progress_(on_progress),
        pool_(options.threads),
        checker_(words, options.shingle, options.threshold) {
    found_.bands = signatures.bands();
  }

  Result<DuplicateSearch> run(const std::filesystem::path& scratch) {
    LS_RETURN_IF_ERROR(join_equal_texts());
    LS_ASSIGN_OR_RETURN(BandFiles files, BandFiles::create(scratch, signatures_.bands().bands));
    LS_RETURN_IF_ERROR(write_keys(files));
    LS_RETURN_IF_ERROR(join_buckets(files));
    LS_RETURN_IF_ERROR(collect());
    found_.candidates = checker_.counts().candidates;
    found_.checks = checker_.counts().checks;
    return std::move(found_);
  }

 private:
  // Calls use(lines) for windows of rows, which may use the pool.
  template <typename Use>
  Status for_each_window(Use&& use) {
    Lines lines;
    for (size_t first = 0; first < words_.lines(); first += kWindow) {
      if (stop_requested()) return cancelled("stopped");
      LS_RETURN_IF_ERROR(words_.read_range(first, kWindow, lines));
      LS_RETURN_IF_ERROR(use(lines));
      progress(lines.size());
    }
    return ok_status();
  }

  void progress(size_t rows) {
    done_ += static_cast<int64_t>(rows);
    const auto passes = 2 + signatures_.bands().bands;
    on_progress_(done_, static_cast<int64_t>(words_.lines()) * passes);
  }

  Status join_equal_texts() {
    std::vector<std::pair<uint64_t, uint32_t>> hashes;
    LS_RETURN_IF_ERROR(for_each_window([&](const Lines& lines) {
      for (size_t i = 0; i < lines.size(); ++i) {
        const size_t row = lines.first() + i;
        if (alive_[row] && !lines[i].empty())
          hashes.emplace_back(hash64(lines[i]), static_cast<uint32_t>(row));
      }
      return ok_status();
    }));
    std::sort(hashes.begin(), hashes.end());
    std::string first, other;
    for (size_t i = 0, j = 0; i < hashes.size(); ++i) {
      if (hashes[j].first != hashes[i].first) j = i;
      if (i == j) continue;
      LS_RETURN_IF_ERROR(words_.read(hashes[j].second, first));
      LS_RETURN_IF_ERROR(words_.read(hashes[i].second, other));
      if (first == other) checker_.join_equal(hashes[j].second, hashes[i].second);
    }
    std::vector<std::pair<uint64_t, uint32_t>>().swap(hashes);
    return ok_status();
  }

  Status write_keys(BandFiles& files) {
    const auto bands = static_cast<size_t>(signatures_.bands().bands);
    std::vector<uint64_t> keys;
    std::vector<size_t> chosen;
    LS_RETURN_IF_ERROR(for_each_window([&](const Lines& lines) {
      chosen.clear();
      for (size_t i = 0; i < lines.size(); ++i) {
        const auto row = static_cast<uint32_t>(lines.first() + i);
        if (!alive_[row] || lines[i].empty() || checker_.components().find(row) != row) continue;
        chosen.push_back(i);
        distinct_.push_back(row);
      }
      keys.resize(chosen.size() * bands);
      pool_.parallel_ranges(static_cast<int>(chosen.size()), kLeastRange, [&](int begin, int end) {
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
          signatures_.band_keys(lines[chosen[i]], keys.data() + i * bands);
      });
      return files.append(keys, chosen.size());
    }));
    found_.distinct = static_cast<int64_t>(distinct_.size());
    return files.finish();
  }

  // The next band is sorted on another thread meanwhile.
  Status join_buckets(const BandFiles& files) {
    const auto sorted = [&files](int band) { return files.bucket_order(band); };
    const auto policy = options_.threads > 1 ? std::launch::async : std::launch::deferred;
    auto next = std::async(policy, sorted, 0);
    for (int band = 0; band < signatures_.bands().bands; ++band) {
      LS_ASSIGN_OR_RETURN(const auto order, next.get());
      if (band + 1 < signatures_.bands().bands) next = std::async(policy, sorted, band + 1);
      LS_RETURN_IF_ERROR(join_band(order));
      progress(words_.lines());
    }
    return ok_status();
  }

  Status join_band(const std::vector<BandFiles::Keyed>& order) {
    std::vector<uint32_t> bucket;
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
      while (end < order.size() && order[end].key == order[begin].key) ++end;
      if (end - begin < 2) continue;
      if (stop_requested()) return cancelled("stopped");
      bucket.clear();
      for (size_t i = begin; i < end; ++i) bucket.push_back(distinct_[order[i].item]);
      found_.largest_bucket = std::max(found_.largest_bucket, static_cast<int64_t>(bucket.size()));
      LS_RETURN_IF_ERROR(join_bucket(bucket));
    }
    return ok_status();
  }

  Status join_bucket(const std::vector<uint32_t>& rows) {
    if (rows.size() > kAllPairsBucket) return join_by_prefixes(rows, checker_);
    for (size_t j = 1; j < rows.size(); ++j) {
      for (size_t i = 0; i < j; ++i) LS_RETURN_IF_ERROR(checker_.propose(rows[i], rows[j]));
    }
    return ok_status();
  }

  Status collect() {
    for (uint32_t row = 0; row < words_.lines(); ++row) {
      const uint32_t representative = checker_.components().find(row);
      if (representative == row) continue;
      Duplicate& found = found_.duplicates.emplace_back();
      found.row = row;
      found.representative = representative;
      found.linked = checker_.components().link(row);
      std::string text;
      LS_RETURN_IF_ERROR(words_.read(representative, text));
      LS_RETURN_IF_ERROR(words_.read(row, text_));
      found.exact = text == text_;
      LS_ASSIGN_OR_RETURN(const auto* a, checker_.load(representative));
      LS_ASSIGN_OR_RETURN(const auto* b, checker_.load(row));
      found.similarity = jaccard(*a, *b);
    }
    return ok_status();
  }

  const LineFile& words_;
  const std::vector<bool>& alive_;
  const DuplicateOptions& options_;
  const Signatures& signatures_;
  const std::function<void(int64_t, int64_t)>& on_progress_;
  ThreadPool pool_;
  PairChecker checker_;
  std::vector<uint32_t> distinct_;  // the first row of each text, in the order of the input
  DuplicateSearch found_;
  std::string text_;
  int64_t done_ = 0;
};

}  // namespace

Result<DuplicateSearch> find_duplicates(const LineFile& words, const std::vector<bool>& alive,
                                        const DuplicateOptions& options,
                                        const std::filesystem::path& scratch,
                                        const std::function<void(int64_t, int64_t)>& on_progress) {
  LS_ASSIGN_OR_RETURN(const Bands bands, choose_bands(options.threshold, options.permutations));
  const Signatures signatures(bands, options.shingle, options.seed);
  return Search(words, alive, options, signatures, on_progress).run(scratch);
}

// Components, links, line begins and the list of distinct rows; two sorted bands and the bytes of
// one, which are more than the hashes of the texts.
DuplicateCost duplicate_cost(int64_t rows, const Bands& bands) {
  constexpr double kFixed = 24.0 * 1024 * 1024;
  const auto n = static_cast<double>(rows);
  return {kFixed + n * (4 + 4 + 8 + 4 + 2 * 16 + 8), n * 8 * bands.bands};
}

}  // namespace longshot::curate

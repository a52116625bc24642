#include "model/merge/magnitude.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace longshot::model {
namespace {

uint32_t magnitude_bits(float value) {
  return std::bit_cast<uint32_t>(value) & 0x7fffffffu;
}

// The largest bucket b for which at least k elements are in buckets >= b; `above` becomes the
// number of those beyond it. Bucket 0 if there are fewer elements.
uint32_t bucket_of(const std::vector<uint64_t>& counts, uint64_t k, uint64_t& above) {
  for (size_t b = counts.size(); b-- > 0;) {
    if (above + counts[b] >= k || b == 0) return static_cast<uint32_t>(b);
    above += counts[b];
  }
  return 0;
}

}  // namespace

MagnitudeSelection::MagnitudeSelection(uint64_t k) : k_(k), counts_(1u << 15) {}

void MagnitudeSelection::count(std::span<const float> values) {
  LS_CHECK(pass_ < kPasses, "all passes are over");
  for (const float value : values) {
    const uint32_t bits = magnitude_bits(value);
    if (pass_ == 0) {
      ++counts_[bits >> 16];
    } else if (bits >> 16 == high_) {
      ++counts_[bits & 0xffffu];
    }
  }
}

void MagnitudeSelection::finish_pass() {
  const uint32_t bucket = bucket_of(counts_, k_, above_);
  if (pass_++ == 0) {
    high_ = bucket;
    counts_.assign(1u << 16, 0);
    return;
  }
  threshold_ = high_ << 16 | bucket;
  ties_ = k_ - std::min(k_, above_);
  counts_ = {};
  restart();
}

void MagnitudeSelection::restart() {
  left_ = ties_;
}

bool MagnitudeSelection::keeps(float value) {
  const uint32_t bits = magnitude_bits(value);
  if (bits != threshold_) return bits > threshold_;
  if (left_ == 0) return false;
  --left_;
  return true;
}

}  // namespace longshot::model

#pragma once
// The k largest magnitudes of an array that is read in blocks: an exact selection in bounded memory
// by a histogram of the bits, because the bits of non-negative floats are ordered like the floats.
//
//   MagnitudeSelection selection(k);
//   for each pass: for each block: selection.count(block); selection.finish_pass()
//   then, in order, for each element: selection.keeps(value)

#include <cstdint>
#include <span>
#include <vector>

namespace longshot::model {

class MagnitudeSelection {
 public:
  static constexpr int kPasses = 2;

  // Keeps min(k, number of elements) elements. Among equal magnitudes at the threshold, those with
  // the lowest index are kept.
  explicit MagnitudeSelection(uint64_t k);

  void count(std::span<const float> values);
  void finish_pass();

  // Call once for each element in the order of the array. Values must not be NaN.
  bool keeps(float value);
  void restart();  // before another run over the elements

 private:
  uint64_t k_;
  int pass_ = 0;
  uint32_t high_ = 0;             // upper 16 bits of the threshold
  uint32_t threshold_ = 0;        // bits of the smallest magnitude that is kept
  uint64_t above_ = 0;            // elements above the bucket, then above the threshold
  uint64_t ties_ = 0, left_ = 0;  // elements at the threshold to keep, and still to keep
  std::vector<uint64_t> counts_;
};

}  // namespace longshot::model

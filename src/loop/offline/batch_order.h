#pragma once
// The order of rows that are all in memory.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longshot::loop {

// Chooses the rows of each optimizer step: epoch after epoch in a new order, cut where the token
// budget is full. No batch spans two epochs. The order depends only on (seed, lengths, budget), so
// a resumed run replays it up to its step.
class BatchOrder {
 public:
  // lengths: tokens of each row; at least one row.
  BatchOrder(std::vector<int64_t> lengths, int64_t batch_tokens, uint64_t seed);

  // Returns the rows of the next step as indices: at least one, together at most `batch_tokens`
  // tokens unless a single row is longer.
  std::vector<size_t> next();

 private:
  void start_epoch();

  std::vector<int64_t> lengths_;
  int64_t batch_tokens_;
  uint64_t seed_;
  std::vector<size_t> order_;
  size_t position_ = 0;
  int64_t epoch_ = 0;
};

// The steps that cover `epochs` passes over the rows, at least 1.
int64_t steps_of_epochs(const std::vector<int64_t>& lengths, int64_t batch_tokens, uint64_t seed,
                        double epochs);

}  // namespace longshot::loop

#include "loop/offline/batch_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/rng.h"

namespace longshot::loop {

BatchOrder::BatchOrder(std::vector<int64_t> lengths, int64_t batch_tokens, uint64_t seed)
    : lengths_(std::move(lengths)), batch_tokens_(batch_tokens), seed_(seed) {}

std::vector<size_t> BatchOrder::next() {
  std::vector<size_t> rows;
  int64_t tokens = 0;
  while (true) {
    if (position_ == order_.size()) start_epoch();
    const size_t row = order_[position_];
    if (!rows.empty() && tokens + lengths_[row] > batch_tokens_) return rows;
    rows.push_back(row);
    tokens += lengths_[row];
    ++position_;
    if (position_ == order_.size()) return rows;
  }
}

void BatchOrder::start_epoch() {
  order_.resize(lengths_.size());
  std::iota(order_.begin(), order_.end(), size_t{0});
  CounterRng(hash_combine(seed_, static_cast<uint64_t>(epoch_++))).shuffle(order_);
  position_ = 0;
}

int64_t steps_of_epochs(const std::vector<int64_t>& lengths, int64_t batch_tokens, uint64_t seed,
                        double epochs) {
  BatchOrder order(lengths, batch_tokens, seed);
  const double rows_wanted = epochs * static_cast<double>(lengths.size());
  double rows = 0;
  int64_t steps = 0;
  while (rows + 0.5 < rows_wanted) rows += static_cast<double>(order.next().size()), ++steps;
  return std::max<int64_t>(1, steps);
}

}  // namespace longshot::loop

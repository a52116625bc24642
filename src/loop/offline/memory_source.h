#pragma once
// The batches of a data set that is in memory.

#include <utility>

#include "loop/offline/batch_order.h"
#include "loop/offline/example_source.h"

namespace longshot::loop {

template <typename Example>
class MemorySource final : public ExampleSource<Example> {
 public:
  using typename ExampleSource<Example>::Batch;

  // lengths: tokens of each example. At least one example.
  MemorySource(std::vector<Example> examples, const std::vector<int64_t>& lengths,
               int64_t batch_tokens, uint64_t seed, double epochs)
      : examples_(std::move(examples)),
        order_(lengths, batch_tokens, seed),
        steps_(steps_of_epochs(lengths, batch_tokens, seed, epochs)) {}

  int64_t steps() const override { return steps_; }
  bool finished() override { return false; }
  Result<Batch> next() override {
    Batch batch;
    for (const size_t i : order_.next()) batch.push_back(&examples_[i]);
    ++batches_;
    return batch;
  }
  void add_metrics(Metrics&) const override {}

  // The order is replayed, so the number of batches is the whole position.
  Json position() const override { return {{"batches", batches_}}; }
  Status seek(const Json& position, const std::string& where) override {
    if (!position.contains("batches")) {
      return invalid_argument(
          where + " is that of streamed rows: set data.streaming=true to continue this run");
    }
    LS_ASSIGN_OR_RETURN(const auto batches, json_get<int64_t>(position, "batches", where));
    for (; batches_ < batches; ++batches_) order_.next();
    return ok_status();
  }

  Result<std::span<const Example>> sample() override { return std::span<const Example>(examples_); }
  bool sample_is_all() const override { return true; }

 private:
  std::vector<Example> examples_;
  BatchOrder order_;
  int64_t steps_;
  int64_t batches_ = 0;  // given so far
};

}  // namespace longshot::loop

#pragma once
// The batches of a data set of which only a part is in memory (datasets/shuffled_stream.h).

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/log.h"
#include "datasets/examples.h"
#include "datasets/shuffled_stream.h"
#include "loop/offline/example_source.h"

namespace longshot::loop {

template <typename Example>
class StreamedSource final : public ExampleSource<Example> {
 public:
  using typename ExampleSource<Example>::Batch;

  struct Options {
    size_t shuffle_buffer = 1;  // examples in memory
    uint64_t seed = 0;
    int max_length = 0;  // tokens; longer rows are left out and counted
    int64_t batch_tokens = 0;
    int64_t epochs = 1;
  };

  StreamedSource(datasets::RowStream rows,
                 std::unique_ptr<datasets::ExampleEncoder<Example>> encoder, const Options& options)
      : options_(options),
        encoder_(std::move(encoder)),
        stream_(std::move(rows), options.shuffle_buffer, options.seed,
                [encoder = encoder_.get(), options](const datasets::Row& row) {
                  return datasets::encode_within(*encoder, row, options.max_length);
                }) {}

  int64_t steps() const override { return 0; }

  // An error is left to next().
  bool finished() override {
    const auto example = stream_.peek();
    if (!example.ok() || *example != nullptr || stream_.given() == 0) return false;
    warn_of_dropped_rows();
    return stream_.epoch() + 1 >= options_.epochs;
  }

  Result<Batch> next() override {
    batch_.clear();
    int64_t tokens = 0;
    while (true) {
      LS_ASSIGN_OR_RETURN(const Example* example, stream_.peek());
      if (example == nullptr && !batch_.empty()) break;
      if (example == nullptr) {
        LS_RETURN_IF_ERROR(next_epoch());
        continue;
      }
      const int64_t length = encoder_->tokens(*example);
      if (!batch_.empty() && tokens + length > options_.batch_tokens) break;
      tokens += length;
      batch_.push_back(stream_.take());
    }
    encoder_->report();
    Batch batch;
    for (const Example& example : batch_) batch.push_back(&example);
    return batch;
  }

  void add_metrics(Metrics& metrics) const override {
    metrics["data/epoch"] = static_cast<double>(stream_.epoch() + 1);
    metrics["data/rows"] = static_cast<double>(stream_.given());
    metrics["data/dropped_rows"] = static_cast<double>(stream_.dropped());
  }

  Json position() const override { return stream_.position(); }
  Status seek(const Json& position, const std::string& where) override {
    if (position.contains("batches")) {
      return invalid_argument(
          where + " is that of rows in memory: set data.streaming=false to continue this run");
    }
    return stream_.seek(position, where);
  }

  Result<std::span<const Example>> sample() override { return stream_.block(); }
  bool sample_is_all() const override { return false; }

 private:
  Status next_epoch() {
    if (stream_.given() == 0) return no_row();
    warn_of_dropped_rows();
    stream_.next_epoch();
    return ok_status();
  }

  Status no_row() const {
    if (stream_.dropped() == 0) return invalid_argument("data.train_files has no row");
    return invalid_argument(
        fmt::format("all {} rows of data.train_files are longer than {} tokens; raise "
                    "data.max_length",
                    stream_.dropped(), options_.max_length));
  }

  // At the end of an epoch, when all of them are counted.
  void warn_of_dropped_rows() {
    if (stream_.dropped() == 0 || std::exchange(warned_, true)) return;
    log::warn("{} rows are longer than {} tokens and are left out", stream_.dropped(),
              options_.max_length);
  }

  Options options_;
  std::unique_ptr<datasets::ExampleEncoder<Example>> encoder_;
  datasets::ShuffledStream<Example> stream_;
  std::vector<Example> batch_;
  bool warned_ = false;
};

}  // namespace longshot::loop

#pragma once
// Where the batches of an offline run come from. The implementations are MemorySource, whose
// examples are all in memory, and StreamedSource, for data sets larger than memory.

#include <cstdint>
#include <span>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"

namespace longshot::loop {

// Not thread-safe.
template <typename Example>
class ExampleSource {
 public:
  // Borrowed; valid until the next call that is not const.
  using Batch = std::vector<const Example*>;

  virtual ~ExampleSource() = default;

  // The number of optimizer steps in the epochs of the configuration; 0 if it is known only when
  // they are over.
  virtual int64_t steps() const = 0;
  // True if no row of these epochs is left. Only for sources with steps() == 0.
  virtual bool finished() = 0;
  // Returns the examples of the next optimizer step: at least one, together at most batch_tokens
  // tokens unless a single one is longer. No batch spans two epochs. After the last epoch of the
  // configuration more epochs follow, for trainer.total_steps.
  virtual Result<Batch> next() = 0;
  // Adds figures about the rows read so far to those of a step.
  virtual void add_metrics(Metrics& metrics) const = 0;

  // The position after the last batch, for a checkpoint. After seek() the batches are those that
  // would have followed. `where` names the position in errors.
  virtual Json position() const = 0;
  virtual Status seek(const Json& position, const std::string& where) = 0;

  // Examples to report about before the first step: all that are in memory.
  virtual Result<std::span<const Example>> sample() = 0;
  virtual bool sample_is_all() const = 0;
};

}  // namespace longshot::loop

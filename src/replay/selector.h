#pragma once
// Which complete groups leave the buffer first, where more are complete than an iteration trains
// on. A policy object: no storage, no locks.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::replay {

// What a selector may know of a complete group.
struct Candidate {
  int64_t inserted = 0;        // running number of the group's first insert; older is smaller
  int64_t oldest_version = 0;  // oldest policy version among its trained tokens
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Indices into `candidates`, best first, at most `count`, no index twice. Pure: `draw` is the
  // random key.
  virtual std::vector<size_t> select(const std::vector<Candidate>& candidates, size_t count,
                                     uint64_t draw) const = 0;
  virtual std::string debug_string() const = 0;
};

// "fifo": oldest group first. "freshest": newest policy version first. "uniform": at random.
Result<std::unique_ptr<Selector>> make_selector(const std::string& name);

}  // namespace longshot::replay

#pragma once
// Chooses which complete groups leave the buffer first if more are complete than an iteration
// trains on. A policy object: no storage, no locks.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/spelling.h"

namespace longshot::replay {

// The properties of a complete group that a selector sees.
struct Candidate {
  int64_t inserted = 0;        // running number from open_groups(); smaller is older
  int64_t oldest_version = 0;  // oldest policy version among its trained tokens
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Returns at most `count` different indices into `candidates`, best first. Pure; `draw` is the
  // random key.
  virtual std::vector<size_t> select(const std::vector<Candidate>& candidates, size_t count,
                                     uint64_t draw) const = 0;
  virtual std::string debug_string() const = 0;
};

enum class SelectorKind {
  fifo,      // the group opened first comes first
  freshest,  // largest oldest_version first, of equal ones the group opened last
  uniform,   // random order
  edf,       // earliest deadline first: smallest oldest_version first, of equal ones as fifo
};

constexpr auto spellings(SelectorKind) {
  using enum SelectorKind;
  return std::to_array<Spelling<SelectorKind>>(
      {{fifo, "fifo"}, {freshest, "freshest"}, {uniform, "uniform"}, {edf, "edf"}});
}

std::unique_ptr<Selector> make_selector(SelectorKind kind);

}  // namespace longshot::replay

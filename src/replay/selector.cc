#include "replay/selector.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::replay {
namespace {

std::vector<size_t> first(std::vector<size_t> order, size_t count) {
  order.resize(std::min(order.size(), count));
  return order;
}

std::vector<size_t> identity(size_t size) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

class Fifo : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t) const override {
    auto order = identity(c.size());
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return c[a].inserted < c[b].inserted; });
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return name_of(SelectorKind::fifo); }
};

class Freshest : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t) const override {
    auto order = identity(c.size());
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::tie(c[a].oldest_version, c[a].inserted) >
             std::tie(c[b].oldest_version, c[b].inserted);
    });
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return name_of(SelectorKind::freshest); }
};

class Uniform : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t draw) const override {
    auto order = identity(c.size());
    CounterRng(draw).shuffle(order);
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return name_of(SelectorKind::uniform); }
};

// AstraFlow's order (arXiv 2605.15565): a group becomes stale with its oldest token.
class EarliestDeadline : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t) const override {
    auto order = identity(c.size());
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::tie(c[a].oldest_version, c[a].inserted) <
             std::tie(c[b].oldest_version, c[b].inserted);
    });
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return name_of(SelectorKind::edf); }
};

}  // namespace

std::unique_ptr<Selector> make_selector(SelectorKind kind) {
  switch (kind) {
    case SelectorKind::fifo:
      return std::make_unique<Fifo>();
    case SelectorKind::freshest:
      return std::make_unique<Freshest>();
    case SelectorKind::uniform:
      return std::make_unique<Uniform>();
    case SelectorKind::edf:
      return std::make_unique<EarliestDeadline>();
  }
  LS_CHECK(false, "every kind is made above");
  return nullptr;
}

}  // namespace longshot::replay

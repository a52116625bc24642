#include "replay/selector.h"

#include <algorithm>
#include <numeric>

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
  std::string debug_string() const override { return "fifo"; }
};

class Freshest : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t) const override {
    auto order = identity(c.size());
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      if (c[a].oldest_version != c[b].oldest_version)
        return c[a].oldest_version > c[b].oldest_version;
      return c[a].inserted > c[b].inserted;
    });
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return "freshest"; }
};

class Uniform : public Selector {
 public:
  std::vector<size_t> select(const std::vector<Candidate>& c, size_t count,
                             uint64_t draw) const override {
    auto order = identity(c.size());
    CounterRng(draw).shuffle(order);
    return first(std::move(order), count);
  }
  std::string debug_string() const override { return "uniform"; }
};

}  // namespace

Result<std::unique_ptr<Selector>> make_selector(const std::string& name) {
  if (name == "fifo") return std::unique_ptr<Selector>(new Fifo);
  if (name == "freshest") return std::unique_ptr<Selector>(new Freshest);
  if (name == "uniform") return std::unique_ptr<Selector>(new Uniform);
  return invalid_argument("unknown replay selector '" + name + "'; known: fifo, freshest, uniform");
}

}  // namespace longshot::replay

#pragma once
// Connected components of rows. The representative of a component is its lowest row, in whatever
// order the edges come.

#include <cstdint>
#include <vector>

namespace longshot::curate {

// Not thread-safe. Memory: 8 bytes a row.
class DisjointSets {
 public:
  explicit DisjointSets(size_t rows);

  uint32_t find(uint32_t row);
  // Joins the components of two rows. Returns false if they are one already.
  bool unite(uint32_t a, uint32_t b);
  bool joined(uint32_t a, uint32_t b) { return find(a) == find(b); }
  // The other row of the edge that first joined this row to another component; the row itself if
  // there is none.
  uint32_t link(uint32_t row) const { return links_[row]; }

 private:
  std::vector<uint32_t> parents_, links_;
};

}  // namespace longshot::curate

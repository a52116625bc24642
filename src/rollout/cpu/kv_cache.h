#pragma once
// Keys and values of every slot, in pages of 16 positions that are taken as a sequence grows. A page holds all
// layers; full pages are shared between slots with a common prefix and copied when somebody writes to them.
// Not thread-safe, except that the pages of different slots may be read and written at once.

#include <memory>
#include <vector>

#include "rollout/cpu/aligned.h"
#include "rollout/cpu/kernels.h"

namespace longshot::rollout::cpu {

struct KvShape {
  int layers = 0, heads = 0, head_dim = 0;

  int value_stride() const { return round_up(head_dim, kLane); }
  size_t key_floats() const { return static_cast<size_t>(head_dim) * kPage; }
  size_t value_floats() const { return static_cast<size_t>(value_stride()) * kPage; }
  size_t page_floats() const {
    return static_cast<size_t>(layers) * heads * (key_floats() + value_floats());
  }
  // Where a head's keys [head_dim][16] start in a page; its values [16][value_stride] follow them.
  size_t key_offset(int layer, int head) const {
    return (static_cast<size_t>(layer) * heads + head) * (key_floats() + value_floats());
  }
  size_t value_offset(int layer, int head) const { return key_offset(layer, head) + key_floats(); }
};

class KvCache {
 public:
  KvCache() = default;
  KvCache(const KvShape& shape, int slots);

  // Makes positions [start, end) of the slot writable; what it held from `start` on becomes undefined.
  void prepare(int slot, int start, int end);
  void copy_prefix(int from, int to, int length);

  const KvShape& shape() const { return shape_; }
  float* const* pages(int slot) const { return slots_[slot].data.data(); }
  int64_t pages_in_use() const { return static_cast<int64_t>(storage_.size() - free_.size()); }

 private:
  struct Slot {
    std::vector<int> ids;
    std::vector<float*> data;  // data[i] is the memory of page ids[i]
  };
  int take_page();
  void drop_page(int id);
  void append(Slot& slot, int id);
  void shrink(Slot& slot, size_t pages);

  KvShape shape_;
  std::vector<AlignedFloats> storage_;  // by page id
  std::vector<int> users_;              // slots that hold the page
  std::vector<int> free_;
  std::vector<Slot> slots_;
};

}  // namespace longshot::rollout::cpu

#include "rollout/cpu/kv_cache.h"

#include <algorithm>

#include "base/check.h"

namespace longshot::rollout::cpu {

KvCache::KvCache(const KvShape& shape, int slots) : shape_(shape), slots_(slots) {}

int KvCache::take_page() {
  if (free_.empty()) {
    storage_.emplace_back(shape_.page_floats());
    users_.push_back(0);
    free_.push_back(static_cast<int>(storage_.size()) - 1);
  }
  const int id = free_.back();
  free_.pop_back();
  users_[id] = 1;
  return id;
}

void KvCache::drop_page(int id) {
  if (--users_[id] == 0) free_.push_back(id);
}

void KvCache::append(Slot& slot, int id) {
  slot.ids.push_back(id);
  slot.data.push_back(storage_[id].data());
}

void KvCache::shrink(Slot& slot, size_t pages) {
  while (slot.ids.size() > pages) {
    drop_page(slot.ids.back());
    slot.ids.pop_back();
    slot.data.pop_back();
  }
}

void KvCache::prepare(int slot_id, int start, int end) {
  Slot& slot = slots_[slot_id];
  const size_t needed = (end + kPage - 1) / kPage;
  LS_CHECK(start <= static_cast<int>(slot.ids.size()) * kPage,
           "a step starts beyond the cached tokens");
  shrink(slot, needed);
  for (size_t p = start / kPage; p < slot.ids.size(); ++p) {
    if (users_[slot.ids[p]] == 1) continue;
    const int copy = take_page();
    storage_[copy] = storage_[slot.ids[p]];
    drop_page(slot.ids[p]);
    slot.ids[p] = copy;
    slot.data[p] = storage_[copy].data();
  }
  while (slot.ids.size() < needed) append(slot, take_page());
}

void KvCache::copy_prefix(int from_id, int to_id, int length) {
  if (from_id == to_id) return;
  const Slot& from = slots_[from_id];
  Slot& to = slots_[to_id];
  const size_t pages = (length + kPage - 1) / kPage;
  LS_CHECK(pages <= from.ids.size(), "copy_prefix reads beyond the cached tokens");
  shrink(to, 0);
  for (size_t p = 0; p < pages;
       ++p) {  // shared; prepare() copies the last one before it is written
    ++users_[from.ids[p]];
    append(to, from.ids[p]);
  }
}

}  // namespace longshot::rollout::cpu

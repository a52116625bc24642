#include "rollout/cpu/huge_pages.h"

#include <sys/mman.h>

namespace longshot::rollout::cpu {

void prefer_huge_pages(void* memory, size_t bytes) {
  (void)madvise(memory, bytes, MADV_HUGEPAGE);
}

}  // namespace longshot::rollout::cpu

#include "train/offload/offload.h"

#include <cstring>
#include <utility>

#include "base/check.h"

namespace longshot::train {
namespace {

constexpr size_t kAlignment = 64;  // of a tensor, as libtorch aligns them

int64_t room(const at::Tensor& tensor) {
  return static_cast<int64_t>((tensor.storage().nbytes() + kAlignment - 1) / kAlignment *
                              kAlignment);
}

}  // namespace

Result<Offload> Offload::create(const std::string& folder, const std::vector<at::Tensor>& tensors) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    LS_CHECK(tensor.is_cpu(), "only the CPU's memory can be offloaded");
    bytes += room(tensor);
  }
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Spill> made, Spill::create(folder, bytes));
  const std::shared_ptr<Spill> memory = std::move(made);
  std::byte* at = memory->data();
  for (const at::Tensor& tensor : tensors) {
    c10::Storage storage = tensor.storage();
    std::memcpy(at, storage.data(), storage.nbytes());
    // The old memory is free from here on.
    auto* owner = new std::shared_ptr<Spill>(memory);
    storage.set_data_ptr_noswap(c10::DataPtr(
        at, owner, [](void* context) { delete static_cast<std::shared_ptr<Spill>*>(context); },
        storage.device()));
    at += room(tensor);
  }
  return Offload(memory);
}

}  // namespace longshot::train

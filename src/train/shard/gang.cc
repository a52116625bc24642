#include "train/shard/gang.h"

#include <ATen/ops/from_blob.h>
#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace longshot::train {
namespace {

class Alone : public Gang {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  at::Device device() const override { return at::kCPU; }
  Status exchange(const at::Tensor& send, at::Tensor& received, const char*) override {
    received.copy_(send);
    return ok_status();
  }
  Status gather(at::Tensor&, const char*) override { return ok_status(); }
  Status broadcast(std::span<std::byte>, int, const char*) override { return ok_status(); }
  Status barrier(const char*) override { return ok_status(); }
  int64_t bytes_sent() const override { return 0; }
};

}  // namespace

Status gather_bytes(Gang& gang, std::span<std::byte> all, const char* what) {
  at::Tensor host = at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, at::kByte);
  if (gang.device().is_cpu()) return gang.gather(host, what);
  at::Tensor there = host.to(gang.device());
  LS_RETURN_IF_ERROR(gang.gather(there, what));
  host.copy_(there);
  return ok_status();
}

Status agree(Gang& gang, const Status& own, const char* what) {
  std::vector<uint8_t> failed(static_cast<size_t>(gang.size()));
  failed[static_cast<size_t>(gang.rank())] = !own.ok();
  const Status told = gather_values(gang, std::span(failed), what);
  if (!own.ok()) return own;
  LS_RETURN_IF_ERROR(told);
  const auto first = std::ranges::find(failed, 1);
  if (first == failed.end()) return ok_status();
  return unavailable(fmt::format("{}: trainer {} of {} failed, and its log has the reason", what,
                                 first - failed.begin(), gang.size()));
}

std::shared_ptr<Gang> alone() {
  return std::make_shared<Alone>();
}

}  // namespace longshot::train

#pragma once
// The processes that train one model together: what a trainer needs to know of them, and the calls
// with which they exchange data. There are two implementations: a process alone (below), and a
// group of processes over libtorch's collectives (train/shard/group.h).

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"

namespace longshot::train {

// Every process makes the same calls in the same order. Not thread-safe. Tensors are contiguous and
// on device(). `what` names the call in errors: "the gradients". A call that fails because a
// process ended, or did not answer in time, returns `unavailable`; all later calls fail too, and
// the process should end.
class Gang {
 public:
  virtual ~Gang() = default;
  Gang() = default;
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  virtual int rank() const = 0;  // in [0, size())
  virtual int size() const = 0;
  virtual at::Device device() const = 0;

  // `send` and `received` have size() equal parts. Part i of `send` becomes part rank() of what
  // process i receives.
  virtual Status exchange(const at::Tensor& send, at::Tensor& received, const char* what) = 0;
  // `all` has size() equal parts. Fills it with part i of every process i.
  virtual Status gather(at::Tensor& all, const char* what) = 0;
  // Fills `bytes` with those of process `root`. All processes must pass the same size.
  virtual Status broadcast(std::span<std::byte> bytes, int root, const char* what) = 0;
  // Returns when every process has called it.
  virtual Status barrier(const char* what) = 0;

  // Bytes that this process has sent to others so far, as the calls define them: without the
  // headers of the transport.
  virtual int64_t bytes_sent() const = 0;
};

// gather() of plain values in host memory. all.size() is a multiple of gang.size().
Status gather_bytes(Gang& gang, std::span<std::byte> all, const char* what);
template <typename T>
Status gather_values(Gang& gang, std::span<T> all, const char* what) {
  static_assert(std::is_trivially_copyable_v<T>);
  return gather_bytes(gang, std::as_writable_bytes(all), what);
}

// Returns `own` if it is an error. Otherwise an error if another process passed one.
Status agree(Gang& gang, const Status& own, const char* what);

// A process that trains alone. Every call succeeds and sends nothing.
std::shared_ptr<Gang> alone();

}  // namespace longshot::train

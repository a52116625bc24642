#pragma once
// Tensors whose memory is freed while others need it (hybrid deployment, the report's section
// 2.6.3).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "train/offload/spill.h"

namespace longshot::train {

// Not thread-safe.
class Offload {
 public:
  // Moves the tensors' values to memory that can be spilled to a file of the folder. They must be
  // on the CPU, and no two may share their storage. Other tensors that share it, such as views, see
  // the new memory too. Errors: those of Spill::create(); the tensors are then as before.
  static Result<Offload> create(const std::string& folder, const std::vector<at::Tensor>& tensors);

  int64_t bytes() const { return memory_->bytes(); }
  bool is_out() const { return memory_->is_out(); }
  // As Spill's. The tensors must not be used while they are out.
  Status out() { return memory_->out(); }
  Status in() { return memory_->in(); }

 private:
  explicit Offload(std::shared_ptr<Spill> memory) : memory_(std::move(memory)) {}

  std::shared_ptr<Spill> memory_;  // the tensors share it
};

}  // namespace longshot::train

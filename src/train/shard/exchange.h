#pragma once
// The two exchanges of an optimizer step whose state is sharded: gradients to the owners of the
// elements, and updated weights from them. Each process sends and receives
// (size - 1) / size * parameters * 4 bytes in each. Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "train/shard/gang.h"
#include "train/shard/layout.h"

namespace longshot::train {

class ShardExchange {
 public:
  // `names` are those of the weights, for messages.
  ShardExchange(std::vector<std::string> names, ShardLayout layout, std::shared_ptr<Gang> gang);

  const ShardLayout& layout() const { return layout_; }
  Gang& gang() const { return *gang_; }

  // Sums the gradients of all processes in a binary tree over their ranks. Afterwards the elements
  // that this process owns are the sum, and the others are not defined. gradients[weight] is f32; a
  // process that has none, because the gradient of its lanes is 0, passes undefined tensors and
  // gets tensors like `weights`. Errors: a process has gradients of some weights only, or no
  // process has any; those of the gang.
  Status sum_gradients(const std::vector<at::Tensor>& weights, std::vector<at::Tensor>& gradients);

  // Completes the weights with the elements that other processes own.
  Status gather_weights(std::vector<at::Tensor>& weights);

  // Sums of squares of each gradient, in double and in one order for any number of processes, from
  // the elements that each process owns.
  Result<std::vector<double>> squared_norms(const std::vector<at::Tensor>& gradients);

 private:
  enum class Direction { to_buffer, from_buffer };
  // Copies elements [first, first + buffer.numel()) of a shard, or those of them that exist.
  void copy(Direction direction, int shard, int64_t first, const std::vector<at::Tensor>& tensors,
            at::Tensor buffer) const;
  // Which processes have gradients.
  Result<std::vector<bool>> contributors(const std::vector<at::Tensor>& gradients);
  Status check_states(const std::vector<uint8_t>& states,
                      const std::vector<at::Tensor>& gradients) const;

  std::vector<std::string> names_;
  ShardLayout layout_;
  std::shared_ptr<Gang> gang_;
};

// Adds the parts of `buffer` that are present, in a binary tree, into the first part. The number of
// parts is a power of two.
void add_parts(at::Tensor& buffer, std::vector<bool> present);

}  // namespace longshot::train

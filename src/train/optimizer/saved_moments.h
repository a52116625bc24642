#pragma once
// The moments of a checkpoint, in one file or in a file for each process that wrote them. Any
// number of processes can read them.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/format/safetensors.h"
#include "train/optimizer/moments.h"
#include "train/shard/layout.h"

namespace longshot::train {

// A trained weight.
struct TrainedWeight {
  std::string name;
  std::vector<int64_t> shape;
  int64_t elements() const;
};

// "optimizer.safetensors", or "optimizer-00002-of-00004.safetensors" of the second of four shards.
std::string moments_file(int shard, int shards);

// Writes the moments to DIRECTORY/<moments_file>, durably.
Status write_moments(const std::string& path, const std::vector<Moments>& moments);

// The member "shards" of trainer.json: the files, and which elements of which weights each contains
// the moments of. Null for one shard.
Json shards_to_json(const ShardLayout& layout, const std::vector<TrainedWeight>& weights);

// Open files. Immutable.
class SavedMoments {
 public:
  // `shards` is what shards_to_json() returned. Errors: a file that is missing or damaged, or has
  // other tensors than the weights and the format need.
  static Result<SavedMoments> open(const std::string& directory, const Json& shards,
                                   const std::vector<TrainedWeight>& weights, NumberFormat format);

  // The saved values of a part of `moments`, like part.tensor, on the host. Errors name the tensor:
  // it is missing, incomplete, or of another shape or format.
  Result<at::Tensor> read(const Moments& moments, const Moments::Part& part) const;

 private:
  struct Shard {
    model::SafetensorsFile file;
    std::vector<Piece> pieces;
  };
  explicit SavedMoments(const std::vector<TrainedWeight>& weights) : weights_(weights) {}
  Status add(const std::string& path, std::vector<Piece> pieces, NumberFormat format);
  Status copy(const Shard& shard, const Piece& piece, const Moments& moments,
              const Moments::Part& part, at::Tensor& to) const;

  std::vector<TrainedWeight> weights_;
  std::vector<Shard> shards_;
};

}  // namespace longshot::train

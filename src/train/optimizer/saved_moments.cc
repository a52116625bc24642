#include "train/optimizer/saved_moments.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace longshot::train {
namespace {

model::Dtype dtype_of(const at::Tensor& tensor) {
  if (tensor.scalar_type() == at::kByte) return model::Dtype::u8;
  return tensor.scalar_type() == at::kBFloat16 ? model::Dtype::bf16 : model::Dtype::f32;
}

int64_t values_of(int64_t elements, const Moments::Part& part) {
  return (elements + part.elements_each - 1) / part.elements_each;
}

// The shape of a part of the moments of `piece` in a file.
std::vector<int64_t> saved_shape(const TrainedWeight& weight, const Piece& piece,
                                 const Moments::Part& part) {
  const bool whole = piece.size() == weight.elements();
  if (whole && part.elements_each == 1) return weight.shape;
  return {values_of(piece.size(), part)};
}

Result<Piece> piece_from_json(const Json& json, const std::string& where,
                              const std::vector<TrainedWeight>& weights) {
  LS_ASSIGN_OR_RETURN(const auto name, json_get<std::string>(json, "weight", where));
  const auto found = std::ranges::find(weights, name, &TrainedWeight::name);
  if (found == weights.end()) {
    return corrupt(
        fmt::format("{}: weight '{}' is not one of the trained ones; the state belongs "
                    "to another model or to other trainable weights",
                    where, name));
  }
  Piece piece{static_cast<size_t>(found - weights.begin())};
  LS_ASSIGN_OR_RETURN(piece.begin, json_get<int64_t>(json, "begin", where));
  LS_ASSIGN_OR_RETURN(piece.end, json_get<int64_t>(json, "end", where));
  if (piece.begin < 0 || piece.end <= piece.begin || piece.end > found->elements()) {
    return corrupt(fmt::format("{}: weight '{}' has no elements {} to {}", where, name, piece.begin,
                               piece.end));
  }
  return piece;
}

}  // namespace

int64_t TrainedWeight::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies{});
}

std::string moments_file(int shard, int shards) {
  if (shards == 1) return "optimizer.safetensors";
  return fmt::format("optimizer-{:05}-of-{:05}.safetensors", shard + 1, shards);
}

Status write_moments(const std::string& path, const std::vector<Moments>& moments) {
  at::Tensor host;  // the one being written; on a CPU the moments themselves
  std::vector<model::SafetensorsArray> arrays;
  for (const Moments& of_weight : moments) {
    for (const auto& part : of_weight.parts()) {
      const auto load = [&host, tensor = part.tensor]() -> const void* {
        host = at::Tensor();
        host = tensor.to(at::kCPU).contiguous();
        return host.const_data_ptr();
      };
      arrays.push_back(
          {part.name, dtype_of(part.tensor), part.tensor.sizes().vec(), nullptr, load, true});
    }
  }
  return model::write_safetensors(path, arrays);
}

Json shards_to_json(const ShardLayout& layout, const std::vector<TrainedWeight>& weights) {
  if (layout.shards() == 1) return nullptr;
  Json shards = Json::array();
  for (int shard = 0; shard < layout.shards(); ++shard) {
    Json pieces = Json::array();
    for (const Piece& piece : layout.pieces(shard))
      pieces.push_back(
          {{"weight", weights[piece.weight].name}, {"begin", piece.begin}, {"end", piece.end}});
    shards.push_back({{"file", moments_file(shard, layout.shards())}, {"pieces", pieces}});
  }
  return shards;
}

Result<SavedMoments> SavedMoments::open(const std::string& directory, const Json& shards,
                                        const std::vector<TrainedWeight>& weights,
                                        NumberFormat format) {
  SavedMoments saved(weights);
  if (shards.is_null()) {
    std::vector<Piece> whole;
    for (size_t i = 0; i < weights.size(); ++i) whole.push_back({i, 0, weights[i].elements()});
    LS_RETURN_IF_ERROR(saved.add(directory + "/" + moments_file(0, 1), std::move(whole), format));
    return saved;
  }
  const std::string where = directory + "/trainer.json, shards";
  for (const Json& shard : shards) {
    LS_ASSIGN_OR_RETURN(const auto file, json_get<std::string>(shard, "file", where));
    LS_ASSIGN_OR_RETURN(const auto listed, json_get<std::vector<Json>>(shard, "pieces", where));
    std::vector<Piece> pieces;
    for (const Json& one : listed) {
      LS_ASSIGN_OR_RETURN(const Piece piece, piece_from_json(one, where, weights));
      pieces.push_back(piece);
    }
    LS_RETURN_IF_ERROR(saved.add(directory + "/" + file, std::move(pieces), format));
  }
  return saved;
}

Status SavedMoments::add(const std::string& path, std::vector<Piece> pieces, NumberFormat format) {
  LS_ASSIGN_OR_RETURN(auto file, model::SafetensorsFile::open(path));
  size_t needed = 0;
  for (const Piece& piece : pieces)
    needed += Moments::part_count(format, weights_[piece.weight].elements());
  if (file.entries().size() != needed) {
    return corrupt(
        fmt::format("{}: {} tensors, the model and optim.moments need {}; the state belongs to "
                    "another model or to other trainable weights",
                    path, file.entries().size(), needed));
  }
  shards_.push_back({std::move(file), std::move(pieces)});
  return ok_status();
}

Result<at::Tensor> SavedMoments::read(const Moments& moments, const Moments::Part& part) const {
  at::Tensor host =
      at::empty(part.tensor.sizes(), at::TensorOptions().dtype(part.tensor.scalar_type()));
  int64_t found = 0;  // elements
  for (const Shard& shard : shards_) {
    for (const Piece& piece : shard.pieces) {
      const int64_t common =
          std::min(piece.end, moments.end()) - std::max(piece.begin, moments.begin());
      if (weights_[piece.weight].name != moments.name() || common <= 0) continue;
      LS_RETURN_IF_ERROR(copy(shard, piece, moments, part, host));
      found += common;
    }
  }
  if (found == moments.end() - moments.begin()) return host;
  return corrupt(
      fmt::format("tensor '{}': {} of {} elements are saved; the state belongs to "
                  "another model",
                  part.name, found, moments.end() - moments.begin()));
}

// Pieces begin at whole blocks, so a value that belongs to several elements is never cut.
Status SavedMoments::copy(const Shard& shard, const Piece& piece, const Moments& moments,
                          const Moments::Part& part, at::Tensor& to) const {
  const model::SafetensorsEntry* entry = shard.file.find(part.name);
  if (entry == nullptr) {
    return corrupt(fmt::format("{}: tensor '{}' is missing; the state belongs to another model",
                               shard.file.path(), part.name));
  }
  const std::vector<int64_t> shape = saved_shape(weights_[piece.weight], piece, part);
  const model::Dtype dtype = dtype_of(part.tensor);
  if (entry->shape != shape || entry->dtype != dtype) {
    return corrupt(fmt::format("{}: tensor '{}' is {} {}, the model and optim.moments need {} {}",
                               shard.file.path(), part.name, model::dtype_name(entry->dtype),
                               model::shape_text(entry->shape), model::dtype_name(dtype),
                               model::shape_text(shape)));
  }
  const int64_t begin = std::max(piece.begin, moments.begin());
  const int64_t elements = std::min(piece.end, moments.end()) - begin;
  const int64_t size = model::dtype_size(dtype);
  std::memcpy(static_cast<char*>(to.mutable_data_ptr()) +
                  (begin - moments.begin()) / part.elements_each * size,
              entry->bytes.data() + (begin - piece.begin) / part.elements_each * size,
              static_cast<size_t>(values_of(elements, part) * size));
  return ok_status();
}

}  // namespace longshot::train

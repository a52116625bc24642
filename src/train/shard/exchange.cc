#include "train/shard/exchange.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/rows/adamw.h"
#include "train/optimizer/moments.h"

namespace longshot::train {
namespace {

// Elements of a shard in one message: 16 MiB, which bounds the memory of the buffers.
constexpr int64_t kMessage = int64_t{1} << 22;

// What a process has, as one byte.
constexpr uint8_t kNone = 0, kAll = 1, kSome = 2;

uint8_t state_of(const std::vector<at::Tensor>& gradients) {
  const auto defined =
      std::ranges::count_if(gradients, [](const at::Tensor& t) { return t.defined(); });
  if (defined == 0) return kNone;
  return static_cast<size_t>(defined) == gradients.size() ? kAll : kSome;
}

// Sums of squares of the tiles of a piece, written to `sums`.
void squared_tiles(const at::Tensor& gradient, const Piece& piece, int64_t tile, double* sums) {
  if (!is_flat(gradient)) {
    const at::Tensor part = gradient.reshape({-1}).narrow(0, piece.begin, piece.size());
    const double norm = at::linalg_vector_norm(part, 2, {}, false, at::kDouble).item<double>();
    sums[0] = norm * norm;
    return;
  }
  const float* values = gradient.const_data_ptr<float>() + piece.begin;
  at::parallel_for(0, tiles_of(piece, tile), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      sums[t] = kernels::sum_of_squares(values + t * tile, std::min(tile, piece.size() - t * tile));
  });
}

}  // namespace

void add_parts(at::Tensor& buffer, std::vector<bool> present) {
  const auto parts = static_cast<int64_t>(present.size());
  const int64_t size = buffer.numel() / parts;
  for (int64_t step = 1; step < parts; step *= 2) {
    for (int64_t i = 0; i < parts; i += 2 * step) {
      if (!present[i + step]) continue;
      at::Tensor left = buffer.narrow(0, i * size, size);
      const at::Tensor right = buffer.narrow(0, (i + step) * size, size);
      present[i] ? left.add_(right) : left.copy_(right);
      present[i] = true;
    }
  }
}

ShardExchange::ShardExchange(std::vector<std::string> names, ShardLayout layout,
                             std::shared_ptr<Gang> gang)
    : names_(std::move(names)), layout_(std::move(layout)), gang_(std::move(gang)) {
  LS_CHECK(layout_.shards() == gang_->size(), "one shard for each process");
}

void ShardExchange::copy(Direction direction, int shard, int64_t first,
                         const std::vector<at::Tensor>& tensors, at::Tensor buffer) const {
  const int64_t last = first + buffer.numel();
  int64_t at = 0;  // elements of the shard before the piece
  for (const Piece& piece : layout_.pieces(shard)) {
    const int64_t begin = std::max(at, first), end = std::min(at + piece.size(), last);
    if (begin < end) {
      at::Tensor part =
          tensors[piece.weight].view({-1}).narrow(0, piece.begin + begin - at, end - begin);
      at::Tensor there = buffer.narrow(0, begin - first, end - begin);
      direction == Direction::to_buffer ? there.copy_(part) : part.copy_(there);
    }
    at += piece.size();
  }
}

Status ShardExchange::check_states(const std::vector<uint8_t>& states,
                                   const std::vector<at::Tensor>& gradients) const {
  const bool any = std::ranges::any_of(states, [](uint8_t state) { return state != kNone; });
  const auto some = std::ranges::find(states, kSome);
  if (any && some == states.end()) return ok_status();
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined())
      return internal_error(
          fmt::format("{} has no gradient: it takes no part in the forward pass", names_[i]));
  }
  return internal_error(
      fmt::format("trainer {} has gradients of some weights only", some - states.begin()));
}

Result<std::vector<bool>> ShardExchange::contributors(const std::vector<at::Tensor>& gradients) {
  std::vector<uint8_t> states(static_cast<size_t>(gang_->size()));
  states[static_cast<size_t>(gang_->rank())] = state_of(gradients);
  LS_RETURN_IF_ERROR(gather_values(*gang_, std::span(states), "which trainers have gradients"));
  LS_RETURN_IF_ERROR(check_states(states, gradients));
  std::vector<bool> present;
  for (const uint8_t state : states) present.push_back(state == kAll);
  return present;
}

Status ShardExchange::sum_gradients(const std::vector<at::Tensor>& weights,
                                    std::vector<at::Tensor>& gradients) {
  LS_ASSIGN_OR_RETURN(const std::vector<bool> present, contributors(gradients));
  if (gang_->size() == 1) return ok_status();  // the gradients are the sum
  for (size_t i = 0; i < gradients.size(); ++i)
    gradients[i] = gradients[i].defined() ? gradients[i].contiguous() : at::zeros_like(weights[i]);
  const int64_t parts = gang_->size(), longest = layout_.longest();
  const auto options = at::TensorOptions().device(gang_->device()).dtype(at::kFloat);
  const int64_t room = parts * std::min(longest, kMessage);
  const at::Tensor send_room = at::zeros({room}, options),
                   receive_room = at::zeros({room}, options);
  for (int64_t first = 0; first < longest; first += kMessage) {
    const int64_t count = std::min(kMessage, longest - first);
    const at::Tensor send = send_room.narrow(0, 0, parts * count);
    at::Tensor received = receive_room.narrow(0, 0, parts * count);
    for (int shard = 0; shard < parts; ++shard)
      copy(Direction::to_buffer, shard, first, gradients, send.narrow(0, shard * count, count));
    LS_RETURN_IF_ERROR(gang_->exchange(send, received, "the gradients"));
    add_parts(received, present);
    copy(Direction::from_buffer, gang_->rank(), first, gradients, received.narrow(0, 0, count));
  }
  return ok_status();
}

Status ShardExchange::gather_weights(std::vector<at::Tensor>& weights) {
  if (gang_->size() == 1) return ok_status();  // all elements are its own
  const int64_t parts = gang_->size(), longest = layout_.longest();
  const auto options = at::TensorOptions().device(gang_->device()).dtype(at::kFloat);
  const at::Tensor room = at::zeros({parts * std::min(longest, kMessage)}, options);
  for (int64_t first = 0; first < longest; first += kMessage) {
    const int64_t count = std::min(kMessage, longest - first);
    at::Tensor all = room.narrow(0, 0, parts * count);
    const auto of_shard = [&](int shard) { return all.narrow(0, shard * count, count); };
    copy(Direction::to_buffer, gang_->rank(), first, weights, of_shard(gang_->rank()));
    LS_RETURN_IF_ERROR(gang_->gather(all, "the weights"));
    for (int shard = 0; shard < parts; ++shard) {
      if (shard != gang_->rank())
        copy(Direction::from_buffer, shard, first, weights, of_shard(shard));
    }
  }
  return ok_status();
}

Result<std::vector<double>> ShardExchange::squared_norms(const std::vector<at::Tensor>& gradients) {
  const int64_t tile = layout_.tile(), most = layout_.most_tiles();
  std::vector<double> sums(static_cast<size_t>(most * gang_->size()));
  double* own = sums.data() + most * gang_->rank();
  for (const Piece& piece : layout_.pieces(gang_->rank())) {
    squared_tiles(gradients[piece.weight], piece, tile, own);
    own += tiles_of(piece, tile);
  }
  LS_RETURN_IF_ERROR(gather_values(*gang_, std::span(sums), "the gradient norm"));
  std::vector<double> norms(gradients.size());
  for (int shard = 0; shard < gang_->size(); ++shard) {
    const double* next = sums.data() + most * shard;
    for (const Piece& piece : layout_.pieces(shard))
      for (int64_t t = tiles_of(piece, tile); t > 0; --t) norms[piece.weight] += *next++;
  }
  return norms;
}

}  // namespace longshot::train

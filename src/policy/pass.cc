#include "policy/pass.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>

#include "base/check.h"
#include "policy/packing.h"

namespace longshot::policy {
namespace {

// Tokens the forward needs: those before the last target.
int64_t forward_length(const PassRow& row) {
  for (size_t t = row.tokens.size(); t > 1; --t) {
    if (row.mask[t - 1]) return static_cast<int64_t>(t) - 1;
  }
  return 0;
}

void append_row(const PassRow& row, size_t index, MicroBatch& micro) {
  const int64_t offset = micro.batch.total();
  const auto length = static_cast<size_t>(forward_length(row));
  micro.batch.append(row.tokens.first(length));
  for (size_t t = 1; t <= length; ++t) {
    if (!row.mask[t]) continue;
    micro.predictors.push_back(offset + static_cast<int64_t>(t) - 1);
    micro.targets.push_back(row.tokens[t]);
  }
  micro.rows.push_back(index);
  micro.begins.push_back(micro.targets.size());
}

at::Tensor index_of(const std::vector<int64_t>& positions, const at::Device& device) {
  at::Tensor index =
      at::empty({static_cast<int64_t>(positions.size())}, at::TensorOptions().dtype(at::kLong));
  std::copy(positions.begin(), positions.end(), index.mutable_data_ptr<int64_t>());
  return index.to(device);
}

}  // namespace

int64_t target_count(const PassRow& row) {
  int64_t count = 0;
  for (size_t t = 1; t < row.tokens.size(); ++t) count += row.mask[t] != 0;
  return count;
}

std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows, int64_t max_tokens) {
  std::vector<size_t> used;
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < rows.size(); ++i) {
    LS_CHECK(rows[i].tokens.size() == rows[i].mask.size(), "one mask entry per token");
    const int64_t length = forward_length(rows[i]);
    if (length == 0) continue;
    used.push_back(i);
    lengths.push_back(length);
  }
  std::vector<MicroBatch> out;
  for (const auto& pack : pack_sequences(lengths, max_tokens)) {
    MicroBatch& micro = out.emplace_back();
    micro.begins.push_back(0);
    for (const size_t i : pack) append_row(rows[used[i]], used[i], micro);
  }
  return out;
}

Pass::Pass(model::Weights& weights, const MicroBatch& micro, double temperature, bool with_entropy)
    : weights_(weights), micro_(micro), temperature_(temperature) {
  const at::Tensor hidden = model::hidden_states(weights, micro.batch);  // [total, hidden]
  gathered_ = at::index_select(hidden, 0, index_of(micro.predictors, hidden.device()));
  out_ = model::token_logprobs(gathered_.detach(), model::head_weight(weights), micro.targets,
                               temperature, with_entropy);
}

void Pass::backward(const std::vector<float>& grad) {
  at::Tensor& head = model::head_weight(weights_);
  const at::Tensor grad_hidden =
      model::token_logprobs_backward(gathered_.detach(), head, micro_.targets, temperature_, grad);
  gathered_.backward(grad_hidden);
  gathered_.reset();
}

}  // namespace longshot::policy

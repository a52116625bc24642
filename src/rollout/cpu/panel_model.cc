#include "rollout/cpu/panel_model.h"
#include "model/format/architecture.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>

namespace longshot::rollout::cpu {
namespace {

using Lookup = std::map<std::string, const model::TensorView*>;

Status check_architecture(const model::ModelConfig& c) {
  if (c.num_kv_heads < 1 || c.num_heads % c.num_kv_heads != 0 || c.head_dim % 2 != 0 ||
      c.head_dim > kMaxHeadDim) {
    return invalid_argument(
        fmt::format("the CPU runner cannot run {} heads, {} key-value heads of {} dimensions",
                    c.num_heads, c.num_kv_heads, c.head_dim));
  }
  return ok_status();
}

Result<Lookup> find_weights(const model::WeightsView& view) {
  Lookup found;
  for (const auto& tensor : view.tensors) found[tensor.name] = &tensor;
  for (const auto& spec : model::expected_weights(view.config)) {
    const auto at = found.find(spec.name);
    if (at == found.end()) return invalid_argument("weight '" + spec.name + "' is missing");
    if (at->second->shape != spec.shape) {
      return invalid_argument(
          fmt::format("weight '{}' has the shape [{}], but the model needs [{}]", spec.name,
                      fmt::join(at->second->shape, ", "), fmt::join(spec.shape, ", ")));
    }
  }
  return found;
}

// Collects the copies of a load and runs them on all threads.
class Packer {
 public:
  Packer(Lookup found, NumberFormat format) : found_(std::move(found)), format_(format) {}

  NumberFormat format() const { return format_; }

  void vector(const std::string& name, AlignedFloats& out) {
    const auto& view = *found_.at(name);
    const int n = static_cast<int>(view.shape[0]);
    out.assign(round_up(n, kLane), 0.0f);
    std::copy_n(view.data, n, out.begin());
  }

  void matrix(const std::string& name, PanelMatrix& out, int column) {
    copy(name, out, kRowsPerTask, [=](int r) { return column + r; });
  }
  // Fills the panels first, first + 2, ...
  void every_other_panel(const std::string& name, PanelMatrix& out, int first) {
    copy(name, out, kPanel, [=](int r) { return first * kPanel + 2 * r; });
  }

  const float* data(const std::string& name) const { return found_.at(name)->data; }

  void run(ThreadPool& pool) {
    pool.parallel_for(static_cast<int>(tasks_.size()), [&](int i) { tasks_[i](); });
  }

 private:
  static constexpr int kRowsPerTask = 1024;

  // Copies runs of `run` rows; the run that starts at row r goes to the columns from column_of(r)
  // on.
  template <typename ColumnOf>
  void copy(const std::string& name, PanelMatrix& out, int run, const ColumnOf& column_of) {
    const auto& view = *found_.at(name + ".weight");
    const int rows = static_cast<int>(view.shape[0]);
    const auto each_run = [=](int begin, int end, const auto& body) {
      for (int r = begin; r < end; r += run) body(r, std::min(run, end - r));
    };
    for (int begin = 0; begin < rows; begin += kRowsPerTask) {
      const int end = std::min(begin + kRowsPerTask, rows);
      tasks_.push_back([=, &out, data = view.data, k = view.shape[1]] {
        each_run(begin, end, [&](int r, int n) { out.set_rows(column_of(r), n, data + r * k); });
      });
    }
    const auto bias = found_.find(name + ".bias");
    if (bias == found_.end()) return;
    each_run(0, rows, [&](int r, int n) {
      out.set_bias(column_of(r), {bias->second->data + r, static_cast<size_t>(n)});
    });
  }

  Lookup found_;
  NumberFormat format_;
  std::vector<std::function<void()>> tasks_;
};

void pack_layer(Packer& packer, const model::ModelConfig& c, int index, int intermediate,
                PanelLayer& layer) {
  const NumberFormat format = packer.format();
  const auto module = [&](model::Role role) { return model::module_of(index, role); };
  const auto weight = [&](model::Role role) { return model::weight_of(module(role)); };
  const int q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  packer.vector(weight(model::Role::attention_norm), layer.attention_norm);
  packer.vector(weight(model::Role::mlp_norm), layer.mlp_norm);
  if (c.qk_norm) {
    packer.vector(weight(model::Role::q_norm), layer.q_norm);
    packer.vector(weight(model::Role::k_norm), layer.k_norm);
  }
  layer.qkv.reset(q + 2 * kv, c.hidden_size, format);
  packer.matrix(module(model::Role::q), layer.qkv, 0);
  packer.matrix(module(model::Role::k), layer.qkv, q);
  packer.matrix(module(model::Role::v), layer.qkv, q + kv);
  layer.out.reset(c.hidden_size, q, format);
  packer.matrix(module(model::Role::out), layer.out, 0);
  layer.gate_up.reset(2 * intermediate, c.hidden_size, format);
  packer.every_other_panel(module(model::Role::gate), layer.gate_up, 0);
  packer.every_other_panel(module(model::Role::up), layer.gate_up, 1);
  layer.down.reset(c.hidden_size, c.intermediate_size, format);
  packer.matrix(module(model::Role::down), layer.down, 0);
}

}  // namespace

Status PanelModel::load(const model::WeightsView& weights, NumberFormat format, ThreadPool& pool) {
  const model::ModelConfig& c = weights.config;
  LS_RETURN_IF_ERROR(check_architecture(c));
  LS_ASSIGN_OR_RETURN(Lookup found, find_weights(weights));
  Packer packer(std::move(found), format);
  config_ = c;
  const float* embedding = packer.data(model::weight_of(model::names::kEmbedding));
  embedding_.assign(embedding, embedding + static_cast<size_t>(c.vocab_size) * c.hidden_size);
  layers_.resize(c.num_layers);
  for (int i = 0; i < c.num_layers; ++i)
    pack_layer(packer, c, i, padded_intermediate(), layers_[i]);
  packer.vector(model::weight_of(model::names::kFinalNorm), final_norm_);
  head_.reset(c.vocab_size, c.hidden_size, format);
  packer.matrix(model::head_module(c), head_, 0);
  packer.run(pool);
  return ok_status();
}

void PanelModel::free() {
  model::ModelConfig config = std::move(config_);
  *this = PanelModel();
  config_ = std::move(config);
}

int64_t PanelModel::bytes() const {
  size_t total = embedding_.size() * sizeof(float) + head_.bytes();
  for (const PanelLayer& layer : layers_)
    total += layer.qkv.bytes() + layer.out.bytes() + layer.gate_up.bytes() + layer.down.bytes();
  return static_cast<int64_t>(total);
}

}  // namespace longshot::rollout::cpu

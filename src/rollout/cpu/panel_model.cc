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

  // scale * (offset + weight)
  void norm(const std::string& name, float offset, float scale, AlignedFloats& out) {
    const auto& view = *found_.at(name);
    const int n = static_cast<int>(view.shape[0]);
    out.assign(round_up(n, kLane), 0.0f);
    for (int i = 0; i < n; ++i) out[i] = scale * (offset + view.data[i]);
  }

  void matrix(const model::RowsOfModule& rows, PanelMatrix& out, int column) {
    copy(rows, out, kRowsPerTask, [=](int r) { return column + r; });
  }
  // Fills the panels first, first + 2, ...
  void every_other_panel(const model::RowsOfModule& rows, PanelMatrix& out, int first) {
    copy(rows, out, kPanel, [=](int r) { return first * kPanel + 2 * r; });
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
  void copy(const model::RowsOfModule& from, PanelMatrix& out, int run, const ColumnOf& column_of) {
    const float* matrix = data(model::weight_of(from.module)) + from.first * from.columns;
    const int rows = static_cast<int>(from.rows);
    const auto each_run = [=](int begin, int end, const auto& body) {
      for (int r = begin; r < end; r += run) body(r, std::min(run, end - r));
    };
    for (int begin = 0; begin < rows; begin += kRowsPerTask) {
      const int end = std::min(begin + kRowsPerTask, rows);
      tasks_.push_back([=, &out, k = from.columns] {
        each_run(begin, end, [&](int r, int n) { out.set_rows(column_of(r), n, matrix + r * k); });
      });
    }
    if (!from.bias) return;
    const float* bias = data(model::bias_of(from.module)) + from.first;
    each_run(0, rows, [&](int r, int n) {
      out.set_bias(column_of(r), {bias + r, static_cast<size_t>(n)});
    });
  }

  Lookup found_;
  NumberFormat format_;
  std::vector<std::function<void()>> tasks_;
};

void pack_norms(Packer& packer, const model::ModelConfig& c, int index, PanelLayer& layer) {
  const auto norm = [&](model::Role role, AlignedFloats& out) {
    out.clear();
    if (!model::shape_of(c, role).exists) return;
    packer.norm(model::weight_of(model::module_of(c, index, role)), c.facts.norm_plus_one ? 1 : 0,
                1, out);
  };
  norm(model::Role::attention_norm, layer.attention_norm);
  norm(model::Role::attention_post_norm, layer.attention_post_norm);
  norm(model::Role::mlp_norm, layer.mlp_norm);
  norm(model::Role::mlp_post_norm, layer.mlp_post_norm);
  norm(model::Role::q_norm, layer.q_norm);
  norm(model::Role::k_norm, layer.k_norm);
}

// Gate and up alternate in panels, each padded to whole panels.
void pack_gated(Packer& packer, const model::RowsOfModule& gate, const model::RowsOfModule& up,
                PanelMatrix& out) {
  const int width = round_up(static_cast<int>(gate.rows), kLane);
  out.reset(2 * width, static_cast<int>(gate.columns), packer.format());
  packer.every_other_panel(gate, out, 0);
  packer.every_other_panel(up, out, 1);
}

void pack_experts(Packer& packer, const model::ModelConfig& c, int index, PanelLayer& layer) {
  using model::Role;
  const auto rows = [&](Role role, int e) { return model::rows_of(c, index, role, e); };
  layer.router.reset(c.experts.count, c.hidden_size, NumberFormat::f32);
  packer.matrix(rows(Role::router, 0), layer.router, 0);
  layer.experts.resize(c.experts.count);
  for (int e = 0; e < c.experts.count; ++e) {
    PanelExpert& expert = layer.experts[e];
    pack_gated(packer, rows(Role::expert_gate, e), rows(Role::expert_up, e), expert.gate_up);
    expert.down.reset(c.hidden_size, c.experts.width, packer.format());
    packer.matrix(rows(Role::expert_down, e), expert.down, 0);
  }
}

void pack_layer(Packer& packer, const model::ModelConfig& c, int index, PanelLayer& layer) {
  const NumberFormat format = packer.format();
  const auto rows = [&](model::Role role) { return model::rows_of(c, index, role); };
  const int q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  pack_norms(packer, c, index, layer);
  layer.qkv.reset(q + 2 * kv, c.hidden_size, format);
  packer.matrix(rows(model::Role::q), layer.qkv, 0);
  packer.matrix(rows(model::Role::k), layer.qkv, q);
  packer.matrix(rows(model::Role::v), layer.qkv, q + kv);
  layer.out.reset(c.hidden_size, q, format);
  packer.matrix(rows(model::Role::out), layer.out, 0);
  if (c.has_experts(index)) return pack_experts(packer, c, index, layer);
  pack_gated(packer, rows(model::Role::gate), rows(model::Role::up), layer.gate_up);
  layer.down.reset(c.hidden_size, c.intermediate_size, format);
  packer.matrix(rows(model::Role::down), layer.down, 0);
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
  if (c.embedding_multiplier != 1) {
    for (float& value : embedding_) value *= static_cast<float>(c.embedding_multiplier);
  }
  layers_.resize(c.num_layers);
  for (int i = 0; i < c.num_layers; ++i) pack_layer(packer, c, i, layers_[i]);
  packer.norm(model::weight_of(model::names::kFinalNorm), c.facts.norm_plus_one ? 1 : 0,
              static_cast<float>(1 / c.logits_scaling), final_norm_);
  head_.reset(c.vocab_size, c.hidden_size, format);
  packer.matrix({model::head_module(c), 0, c.vocab_size, c.hidden_size, false}, head_, 0);
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
  for (const PanelLayer& layer : layers_) {
    total += layer.qkv.bytes() + layer.out.bytes() + layer.gate_up.bytes() + layer.down.bytes() +
             layer.router.bytes();
    for (const PanelExpert& expert : layer.experts)
      total += expert.gate_up.bytes() + expert.down.bytes();
  }
  return static_cast<int64_t>(total);
}

}  // namespace longshot::rollout::cpu

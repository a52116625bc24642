#include "model/cpu/linear.h"

#include <utility>

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

namespace {

std::vector<kernels::DensePart> dense_parts(std::span<const LinearPart> parts) {
  std::vector<kernels::DensePart> out;
  for (const LinearPart& part : parts)
    out.push_back({part.w->weight, part.column, part.out, part.w->bias});
  return out;
}

}  // namespace

void Linear::scale_rows(Rows values, int64_t rows) const {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = values.row(r);
    for (int i = 0; i < low_rank_.rank; ++i) row[i] *= low_rank_.scale;
  }
}

void Linear::project(ConstRows x, int64_t rows, const float* a, int in) {
  inner_.reset(rows, low_rank_.rank);
  dense_.forward(x, rows, a, low_rank_.rank, in, nullptr, inner_.rows(), Store::set);
  scale_rows(inner_.rows(), rows);
}

void Linear::forward(ConstRows x, int64_t rows, std::span<const LinearPart> parts, int in, Rows y,
                     Store store) {
  dense_.forward(x, rows, dense_parts(parts), in, y, store);
  for (const LinearPart& part : parts) {
    if (part.w->lora_a == nullptr) continue;
    project(x, rows, part.w->lora_a, in);
    dense_.forward(std::as_const(inner_).rows(), rows, part.w->lora_b, part.out, low_rank_.rank,
                   nullptr, {y.data + part.column, y.stride}, Store::add);
  }
}

void Linear::backward(ConstRows dy, ConstRows x, int64_t rows, std::span<const LinearPart> parts,
                      int in, Rows dx) {
  std::vector<kernels::DenseGradient> weights;
  for (const LinearPart& part : parts) {
    if (part.gradients->weight != nullptr)
      weights.push_back({part.gradients->weight, part.column, part.out});
    if (part.gradients->bias != nullptr)
      dense_.bias_gradient({dy.data + part.column, dy.stride}, rows, part.out,
                           part.gradients->bias);
  }
  dense_.weight_gradient(dy, x, rows, weights, in);
  dense_.input_gradient(dy, rows, dense_parts(parts), in, dx, Store::set);
  for (const LinearPart& part : parts) {
    if (part.w->lora_a != nullptr)
      adapter_backward({dy.data + part.column, dy.stride}, x, rows, part, in, dx);
  }
}

void Linear::adapter_backward(ConstRows dy, ConstRows x, int64_t rows, const LinearPart& part,
                              int in, Rows dx) {
  const LinearArrays<const float>& w = *part.w;
  const LinearArrays<float>& g = *part.gradients;
  const int rank = low_rank_.rank;
  if (g.lora_b != nullptr) {
    project(x, rows, w.lora_a, in);
    dense_.weight_gradient(dy, std::as_const(inner_).rows(), rows, part.out, rank, g.lora_b);
  }
  dinner_.reset(rows, rank);
  dense_.input_gradient(dy, rows, w.lora_b, part.out, rank, dinner_.rows(), Store::set);
  scale_rows(dinner_.rows(), rows);
  const ConstRows dinner = std::as_const(dinner_).rows();
  if (g.lora_a != nullptr) dense_.weight_gradient(dinner, x, rows, rank, in, g.lora_a);
  dense_.input_gradient(dinner, rows, w.lora_a, rank, in, dx, Store::add);
}

}  // namespace longshot::model::cpu

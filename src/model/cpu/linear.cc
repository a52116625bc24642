#include "model/cpu/linear.h"

#include <utility>

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

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

void Linear::forward(ConstRows x, int64_t rows, const LinearArrays<const float>& w, int out, int in,
                     Rows y, Store store) {
  dense_.forward(x, rows, w.weight, out, in, w.bias, y, store);
  if (w.lora_a == nullptr) return;
  project(x, rows, w.lora_a, in);
  dense_.forward(std::as_const(inner_).rows(), rows, w.lora_b, out, low_rank_.rank, nullptr, y,
                 Store::add);
}

void Linear::backward(ConstRows dy, ConstRows x, int64_t rows, const LinearArrays<const float>& w,
                      int out, int in, const LinearArrays<float>& g, Rows dx, Store store) {
  if (g.weight != nullptr) dense_.weight_gradient(dy, x, rows, out, in, g.weight);
  if (g.bias != nullptr) dense_.bias_gradient(dy, rows, out, g.bias);
  dense_.input_gradient(dy, rows, w.weight, out, in, dx, store);
  if (w.lora_a == nullptr) return;
  const int rank = low_rank_.rank;
  if (g.lora_b != nullptr) {
    project(x, rows, w.lora_a, in);
    dense_.weight_gradient(dy, std::as_const(inner_).rows(), rows, out, rank, g.lora_b);
  }
  dinner_.reset(rows, rank);
  dense_.input_gradient(dy, rows, w.lora_b, out, rank, dinner_.rows(), Store::set);
  scale_rows(dinner_.rows(), rows);
  const ConstRows dinner = std::as_const(dinner_).rows();
  if (g.lora_a != nullptr) dense_.weight_gradient(dinner, x, rows, rank, in, g.lora_a);
  dense_.input_gradient(dinner, rows, w.lora_a, rank, in, dx, Store::add);
}

}  // namespace longshot::model::cpu

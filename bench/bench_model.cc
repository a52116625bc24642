#include "bench/bench_model.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "bench/shapes.h"
#include "model/format/model_files.h"

namespace longshot::bench {

void must(const Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "{}\n", status.to_string());
  std::exit(1);
}

std::unique_ptr<rollout::RandomModel> load_bench_model(const std::string& name) {
  if (name == "tiny") return rollout::random_model(tiny_shape(), 1);
  if (name == "smollm2") return rollout::random_model(smollm2_shape(), 1);
  Result<model::ModelFiles> files = model::read_model(name);
  must(files.status());
  auto model = std::make_unique<rollout::RandomModel>();
  model->tensors = std::move(files->weights);
  model->view.config = files->config;
  for (const auto& tensor : model->tensors)
    model->view.tensors.push_back({tensor.name, tensor.shape, tensor.data.data()});
  return model;
}

}  // namespace longshot::bench

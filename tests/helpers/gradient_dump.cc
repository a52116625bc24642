// gradient_dump MODEL ROWS.jsonl OUT.safetensors [REPEATS [DEVICE]]: writes the gradient of the sum
// of all log-probabilities of the rows' tokens[1..], for comparison with another implementation.
// Prints the tokens per second of a repetition.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/compute.h"
#include "model/format/model_files.h"
#include "model/format/safetensors.h"
#include "model/torch/runtime.h"
#include "model/weights.h"

namespace longshot::model {
namespace {

struct Problem {
  PackedBatch batch;
  std::vector<int64_t> rows;
  std::vector<int32_t> targets;
};

Result<Problem> read_problem(const std::string& path) {
  Problem problem;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    LS_ASSIGN_OR_RETURN(const Json row, parse_json(line, path));
    LS_ASSIGN_OR_RETURN(const auto tokens, json_get<std::vector<int32_t>>(row, "tokens", path));
    for (size_t t = 1; t < tokens.size(); ++t) {
      problem.rows.push_back(problem.batch.total() + static_cast<int64_t>(t) - 1);
      problem.targets.push_back(tokens[t]);
    }
    problem.batch.append(tokens);
  }
  if (problem.rows.empty()) return invalid_argument(path + ": no tokens to predict");
  return problem;
}

void compute_gradient(Compute& compute, const Problem& problem) {
  compute.weights().zero_grad();
  compute.logprobs({problem.batch, problem.rows, problem.targets}, {.for_backward = true});
  compute.backward(std::vector<float>(problem.targets.size(), 1.0F));
}

Status write_gradient(const Weights& weights, const std::string& path) {
  std::vector<at::Tensor> kept;
  std::vector<SafetensorsArray> arrays;
  for (const NamedTensor& named : weights.tensors()) {
    kept.push_back(named.tensor.grad().cpu().contiguous());
    arrays.push_back(
        {named.name, Dtype::f32, kept.back().sizes().vec(), kept.back().const_data_ptr<float>()});
  }
  return write_safetensors(path, arrays);
}

Status run(const std::string& model, const std::string& rows, const std::string& out, int repeats,
           const std::string& device) {
  configure_compute(2);
  LS_RETURN_IF_ERROR(check_device(device));
  LS_ASSIGN_OR_RETURN(const ModelFiles files, read_model(model));
  LS_ASSIGN_OR_RETURN(Weights weights, Weights::from_host(files.config, files.weights, device));
  LS_ASSIGN_OR_RETURN(const Problem problem, read_problem(rows));
  const auto compute = make_compute(weights, {.kernels = model::KernelChoice::libtorch});
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    compute_gradient(*compute, problem);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%.1f tokens/s\n", static_cast<double>(problem.batch.total()) / seconds.count());
  }
  return write_gradient(weights, out);
}

}  // namespace
}  // namespace longshot::model

int main(int argc, char** argv) {
  if (argc < 4 || argc > 6) {
    std::fprintf(stderr,
                 "usage: gradient_dump MODEL ROWS.jsonl OUT.safetensors [REPEATS [DEVICE]]\n");
    return 2;
  }
  const longshot::Status status = longshot::model::run(
      argv[1], argv[2], argv[3], argc > 4 ? std::atoi(argv[4]) : 1, argc > 5 ? argv[5] : "cpu");
  if (!status.ok()) std::fprintf(stderr, "gradient_dump: %s\n", status.to_string().c_str());
  return status.ok() ? 0 : 1;
}

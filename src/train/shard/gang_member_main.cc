// For tests: one process of a gang that trains a small model.
// Usage: gang_member LANES FITS MOMENTS. The environment is that of torchrun, and
//   GANG_TIMEOUT  seconds that a call may take
//   GANG_SILENCE  beats without a sign of life after which a process is lost
//   GANG_FAULT    "RANK CALL start|end MICROSECONDS SIGNAL WHAT": process RANK sends itself the
//                 signal after that time, from the start or end of its CALL-th call named WHAT
// Prints the hashes of its weights and moments and its metrics, or "error ..." with exit code 3.

#include <ATen/Parallel.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <thread>

#include "base/rng.h"
#include "train/shard/group.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

struct Fault {
  int rank = -1, call = 0;
  std::string moment;
  int microseconds = 0, signal = 0;
  std::string what;
};

Fault fault_of_environment() {
  Fault fault;
  const char* text = std::getenv("GANG_FAULT");
  if (text == nullptr) return fault;
  std::istringstream in(text);
  in >> fault.rank >> fault.call >> fault.moment >> fault.microseconds >> fault.signal >> std::ws;
  std::getline(in, fault.what);
  return fault;
}

// Makes the calls of another gang, and sends this process the signal of the fault.
class FaultyGang : public Gang {
 public:
  FaultyGang(std::shared_ptr<Gang> gang, Fault fault)
      : gang_(std::move(gang)), fault_(std::move(fault)) {}

  int rank() const override { return gang_->rank(); }
  int size() const override { return gang_->size(); }
  at::Device device() const override { return gang_->device(); }
  int64_t bytes_sent() const override { return gang_->bytes_sent(); }
  Status exchange(const at::Tensor& send, at::Tensor& received, const char* what) override {
    return around(what, [&] { return gang_->exchange(send, received, what); });
  }
  Status gather(at::Tensor& all, const char* what) override {
    return around(what, [&] { return gang_->gather(all, what); });
  }
  Status broadcast(std::span<std::byte> bytes, int root, const char* what) override {
    return around(what, [&] { return gang_->broadcast(bytes, root, what); });
  }
  Status barrier(const char* what) override {
    return around(what, [&] { return gang_->barrier(what); });
  }

 private:
  template <typename Call>
  Status around(const std::string& what, const Call& call) {
    const bool here = what == fault_.what && rank() == fault_.rank && calls_++ == fault_.call;
    if (here && fault_.moment == "start") arm();
    const Status status = call();
    if (here && fault_.moment == "end") arm();
    return status;
  }

  void arm() {
    std::thread([fault = fault_] {
      ::usleep(static_cast<useconds_t>(fault.microseconds));
      ::kill(::getpid(), fault.signal);
    }).detach();
  }

  std::shared_ptr<Gang> gang_;
  Fault fault_;
  int calls_ = 0;
};

model::ModelConfig model_config() {
  return model::tiny_config("llama", {.vocab = 32,
                                      .hidden = 64,
                                      .intermediate = 160,
                                      .layers = 2,
                                      .heads = 4,
                                      .kv_heads = 2,
                                      .head_dim = 16,
                                      .positions = 64});
}

NumberFormat format_of(const std::string& name) {
  return name == "int8"   ? NumberFormat::int8
         : name == "bf16" ? NumberFormat::bf16
                          : NumberFormat::f32;
}

uint64_t hash_of(const at::Tensor& tensor) {
  return hash64({static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()});
}

// The hash of each 256 elements, which share a scale in 8 bits, so that the lines do not depend on
// who owns which.
void print_moments(const AdamW& optimizer) {
  constexpr int64_t kBlock = 256;
  for (const Moments& moments : optimizer.moments()) {
    const int64_t blocks = (moments.end() - moments.begin() + kBlock - 1) / kBlock;
    for (const Moments::Part& part : moments.parts()) {
      const at::Tensor values = part.tensor.view({-1});
      const int64_t each = kBlock / part.elements_each;
      for (int64_t b = 0; b < blocks; ++b) {
        const at::Tensor block =
            values.slice(0, b * each, std::min((b + 1) * each, values.numel()));
        fmt::print("moment {} {} {:016x}\n", part.name, moments.begin() / kBlock + b,
                   hash_of(block));
      }
    }
  }
}

bool is_of_process(const std::string& metric) {
  return metric.starts_with("timing_s/") || metric.starts_with("memory/") ||
         metric.ends_with("per_second") || metric == "perf/mfu/actor";
}

int fail(const Status& status) {
  fmt::print("error {}\n", status.to_string());
  return 3;
}

int run(int lanes, int fits, const std::string& moments) {
  at::set_num_threads(1);
  auto options = group_options_of_environment();
  if (!options.ok()) return fail(options.status());
  if (const char* seconds = std::getenv("GANG_TIMEOUT"))
    options->call_timeout = std::chrono::milliseconds(static_cast<int>(1000 * std::atof(seconds)));
  if (const char* beats = std::getenv("GANG_SILENCE"))
    options->heartbeat.silence = std::atoi(beats);
  auto group = join_group(*options);
  if (!group.ok()) return fail(group.status());
  const auto gang = std::make_shared<FaultyGang>(*group, fault_of_environment());

  uint64_t seed = gang->rank() == 0 ? 1 : 0;  // all get that of process 0
  const Status told = gang->broadcast(std::as_writable_bytes(std::span(&seed, 1)), 0, "the seed");
  if (!told.ok()) return fail(told);

  OptimizerOptions optimizer_options = optimizer();
  optimizer_options.moments = format_of(moments);
  optimizer_options.clip_grad = 0.1;
  AlgorithmOptions algorithm;
  algorithm.reset_optimizer = false;
  PolicyTrainer trainer(model::Weights::random(model_config(), seed, "cpu"), optimizer_options,
                        algorithm, 10, Lanes{.count = lanes, .gang = gang});
  for (int i = 0; i < fits; ++i) {
    auto groups = make_groups(trainer, 8, 4, 5 + static_cast<uint64_t>(i));
    for (auto& verdict : groups[1].verdicts) verdict = score(0.5);  // has no gradient
    for (auto& sample : groups[2].samples) sample.segments[0].version = -1;
    const auto metrics = trainer.fit(groups, {i, 1, i});
    if (!metrics.ok()) return fail(metrics.status());
    for (const auto& [name, value] : *metrics)
      if (!is_of_process(name)) fmt::print("metric {} {} {:a}\n", i, name, value);
  }
  for (const auto& [name, tensor] : trainer.model().weights().tensors())
    fmt::print("weight {} {:016x}\n", name, hash_of(tensor));
  print_moments(trainer.model().optimizer());
  fmt::print("steps {}\nsent {}\nparameters {}\nmoment_bytes {}\n", trainer.model().steps(),
             gang->bytes_sent(), trainer.model().weights().trained_parameters(),
             trainer.model().optimizer().moment_bytes());
  return 0;
}

}  // namespace
}  // namespace longshot::train

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return longshot::train::run(std::atoi(argv[1]), std::atoi(argv[2]), argv[3]);
}

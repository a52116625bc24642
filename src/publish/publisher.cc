#include "publish/publisher.h"

#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <exception>
#include <utility>

#include "base/os/clock.h"
#include "base/os/fs.h"

namespace longshot::publish {
namespace {

int64_t byte_size(const model::TensorView& tensor) {
  int64_t elements = 1;
  for (const int64_t size : tensor.shape) elements *= size;
  return elements * static_cast<int64_t>(sizeof(float));
}

int64_t byte_size(const model::WeightsView& view) {
  int64_t bytes = 0;
  for (const auto& tensor : view.tensors) bytes += byte_size(tensor);
  return bytes;
}

// Copying from another device may fail inside libtorch.
Result<model::WeightsView> make_view(const model::Weights& weights, int64_t version,
                                     std::vector<at::Tensor>& host_copy) {
  try {
    return weights.view(version, host_copy);
  } catch (const c10::Error& error) {
    return internal_error(fmt::format("reading the weights: {}", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return internal_error(fmt::format("reading the weights: {}", error.what()));
  }
}

}  // namespace

uint64_t tensor_checksum(const model::TensorView& tensor) {
  return checksum(
      {reinterpret_cast<const char*>(tensor.data), static_cast<size_t>(byte_size(tensor))});
}

void Publisher::add_sink(std::string name, Sink sink, Probe probe) {
  LS_CHECK(sink != nullptr, "a sink is a function");
  sinks_.push_back({std::move(name), std::move(sink), std::move(probe)});
}

Result<Metrics> Publisher::publish(const model::Weights& weights) {
  const Stopwatch watch;
  const int64_t version = version_ + 1;
  std::vector<at::Tensor> host_copy;
  LS_ASSIGN_OR_RETURN(const model::WeightsView view, make_view(weights, version, host_copy));
  for (const auto& target : sinks_) {
    const std::string context =
        fmt::format("publishing weights version {} to '{}'", version, target.name);
    LS_RETURN_IF_ERROR(target.sink(view).with_context(context));
    LS_RETURN_IF_ERROR(verify(target, view).with_context(context));
  }
  version_ = version;
  return Metrics{{"timing_s/update_weights", watch.seconds()},
                 {"publish/bytes", static_cast<double>(byte_size(view))},
                 {"publish/version", static_cast<double>(version)}};
}

Status Publisher::verify(const NamedSink& target, const model::WeightsView& view) const {
  if (target.probe == nullptr || view.tensors.empty()) return ok_status();
  const size_t last = view.tensors.size() - 1;
  for (const size_t i : {size_t{0}, last / 2, last}) {
    const model::TensorView& tensor = view.tensors[i];
    LS_ASSIGN_OR_RETURN(const uint64_t held, target.probe(tensor.name));
    if (held != tensor_checksum(tensor)) {
      return corrupt(fmt::format("tensor '{}' arrived changed: checksum {:016x} became {:016x}",
                                 tensor.name, tensor_checksum(tensor), held));
    }
  }
  return ok_status();
}

}  // namespace longshot::publish

#include "model/torch/runtime.h"

#include <ATen/Parallel.h>

#include <cstdlib>

#include "base/os/machine.h"

namespace longshot::model {

int configure_compute(int threads) {
  setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0);
  if (threads <= 0) threads = usable_cores(inspect_machine());
  at::set_num_threads(threads);
  return threads;
}

}  // namespace longshot::model

#include "model/runtime.h"

#include <ATen/Parallel.h>

#include <cstdlib>

namespace longshot::model {

void configure_compute(int threads) {
  setenv("MKL_CBWR", "AUTO,STRICT", /*overwrite=*/0);
  if (threads > 0) at::set_num_threads(threads);
}

}  // namespace longshot::model

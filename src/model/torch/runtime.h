#pragma once
// Process-wide settings of the tensor library.

namespace longshot::model {

// Sets the number of CPU threads of one operation and returns it. 0: as many as the process may use
// (base/os/machine.h, usable_cores: affinity and cgroup quota). Every command uses the returned
// number for its own thread pools too.
// Also sets MKL_CBWR=AUTO,STRICT, unless the environment already sets it, so that MKL's results do
// not depend on the number of threads: its small matrix products otherwise round differently on 1
// and 2 threads. Measured cost: none.
// Call once at the start, before any tensor work: MKL reads the setting at the first matrix
// product.
int configure_compute(int threads);

}  // namespace longshot::model

#pragma once
// Process-wide settings of the tensor library. Call once at the start, before any tensor work.

namespace longshot::model {

// threads: of one operation on the CPU; 0: as many as the process may use (base/os/machine.h, usable_cores: affinity and
// cgroup quota). Returns their number, which every command takes for its own thread pools too. Also asks MKL for results that
// do not depend on the number of threads (MKL_CBWR=AUTO,STRICT unless the environment already sets it): its small
// matrix products otherwise round differently on 1 and 2 threads. Measured cost: none. Takes effect only if no
// matrix product ran before.
int configure_compute(int threads);

}  // namespace longshot::model

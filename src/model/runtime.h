#pragma once
// Process-wide settings of the tensor library. Call once at the start, before any tensor work.

namespace longshot::model {

// threads: of one operation on the CPU; 0 keeps the library's choice (all cores). Also asks MKL for results that
// do not depend on the number of threads (MKL_CBWR=AUTO,STRICT unless the environment already sets it): its small
// matrix products otherwise round differently on 1 and 2 threads. Measured cost: none. Takes effect only if no
// matrix product ran before.
void configure_compute(int threads);

}  // namespace longshot::model

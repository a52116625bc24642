#pragma once

namespace longshot::bench {

// The multiply-add rate (two operations each) of `threads` cores on independent registers, in 1e9
// operations per second: the mean over `seconds`. On shared cores it changes from one second to the
// next, so it must be measured next to every result that is compared with it.
double measured_peak_gflops(int threads, double seconds);

}  // namespace longshot::bench

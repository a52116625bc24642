#pragma once

namespace longshot::bench {

// Multiply-adds per second (two operations each) of `threads` cores at once on independent registers, in 1e9: the mean
// over `seconds`. Where cores are shared with others it changes from one second to the next, so it belongs beside
// every measurement that is compared with it.
double measured_peak_gflops(int threads, double seconds);

}  // namespace longshot::bench

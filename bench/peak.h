#pragma once

namespace longshot::bench {

// Multiply-adds per second (two operations each) of one core on independent registers, in 1e9.
double measured_peak_gflops();

}  // namespace longshot::bench

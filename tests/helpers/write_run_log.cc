// write_run_log FOLDER LAST_STEP FIRST END OFFSET: opens the run log like a resume after LAST_STEP
// (-1: new run) and logs the steps [FIRST, END): "train/value" = OFFSET + step, "train/bad" = NaN.
// For tests that read it from Python.

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/run_log/run_log.h"

namespace {

longshot::Status write_run(const char* folder, int last_step, int first, int end, double offset) {
  LS_ASSIGN_OR_RETURN(auto log, longshot::RunLog::open(folder, last_step));
  for (int step = first; step < end; ++step) {
    log.log(step, {{"train/value", offset + step}, {"train/bad", std::nan("")}});
  }
  return longshot::ok_status();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const auto status = write_run(argv[1], std::atoi(argv[2]), std::atoi(argv[3]), std::atoi(argv[4]),
                                std::atof(argv[5]));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return status.ok() ? 0 : 1;
}

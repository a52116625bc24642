// write_run_log FOLDER LAST_STEP FIRST END OFFSET: opens the run log like a resume after LAST_STEP
// (-1: new run) and logs the steps [FIRST, END): "train/value" = OFFSET + step, "train/bad" = NaN.
// For tests that read it from Python. An evaluation follows step 2.

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/run_log/run_log.h"

namespace {

constexpr const char* kConfig = "[optim]\nlr = 3e-5\n[model]\npath = 'a'\n[data]\nshuffle = true\n";

longshot::Status write_run(const char* folder, int last_step, int first, int end, double offset) {
  LS_ASSIGN_OR_RETURN(auto log, longshot::RunLog::open(folder, last_step, {.config = kConfig}));
  longshot::SampleRecord sample;
  sample.prompt_id = "p7";
  sample.prompt = "1+1";
  sample.response = "<b>\n2";
  sample.held_out = true;
  for (int step = first; step < end; ++step) {
    log.log(step, {{"train/value", offset + step}, {"train/bad", std::nan("")}});
    if (step == 2) log.write_samples(step, {sample});
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

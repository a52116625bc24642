#pragma once
// Activity of the processes of a run, read from /proc.

#include <sys/types.h>

namespace longshot::sandbox::jail {

struct Activity {
  bool wants_processor = false;  // a thread runs, waits for a processor, or for a disk
  double cpu_seconds = 0;        // of the existing processes and of their terminated children
};

// Adds up all processes below `parent`. `proc` is a descriptor of a mounted /proc; `parent` is a
// pid in its namespace. Processes that end meanwhile are left out.
Activity activity_below(int proc, pid_t parent);

// The calling process's pid in that namespace; 0 if `proc` does not show it.
pid_t own_number(int proc);

}  // namespace longshot::sandbox::jail

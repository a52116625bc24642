#pragma once
// What the processes of a run are doing, as /proc tells it.

#include <sys/types.h>

namespace longshot::sandbox::jail {

struct Activity {
  bool wants_processor = false;  // a thread runs, waits for a processor, or for a disk
  double cpu_seconds = 0;        // of the processes that exist, and of their children that have ended
};

// Of all processes below `parent`, which has its number in the namespace that `proc`, a descriptor of a mounted /proc,
// shows. Processes that end meanwhile are left out.
Activity activity_below(int proc, pid_t parent);

// The calling process's number in that namespace; 0 if `proc` does not show it.
pid_t own_number(int proc);

}  // namespace longshot::sandbox::jail

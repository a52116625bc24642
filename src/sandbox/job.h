#pragma once
// A job for a jail and its outcome: plain structs shared by the service and the jail's own
// processes.

#include <cstdint>
#include <string>
#include <vector>

namespace longshot::sandbox {

// How a run ended. The words are the abbreviations of isolate, the sandbox of programming contests.
enum class Ending : uint8_t {
  ok,        // OK: exit code 0
  runtime,   // RE: another exit code
  signaled,  // SG: ended by a signal
  timeout,   // TO: processor or wall time
  memory,    // ML: killed for memory
  output,    // OL: more output, or a larger file, than allowed
  compile,   // CE: the compiler rejected it, or exceeded one of the compiler's own limits
  internal,  // XX: a fault of the sandbox; says nothing about the program
};
const char* ending_word(Ending ending);

struct Limits {
  double cpu_seconds = 10;            // of all processes together
  double idle_seconds = 20;           // time in which no thread computes or waits for a processor
  double wall_seconds = 20;           // from the program's start
  uint64_t memory_bytes = 512 << 20;  // of all processes together, including written files
  uint32_t processes = 64;            // including threads
  uint32_t open_files = 256;          // per process
  uint64_t file_bytes = 64 << 20;     // per file
  uint64_t disk_bytes = 64 << 20;     // all written files together
  uint32_t inodes = 8192;             // written files and directories
  uint64_t output_bytes = 1 << 20;    // stdout and stderr, each

  // For a program that may use this much processor time, even if it often waits for a processor on
  // a busy machine.
  void set_processor_time(double seconds) {
    cpu_seconds = seconds;
    idle_seconds = 2 * seconds + 1;
    wall_seconds = 20 * seconds + 60;
  }
};

struct File {
  std::string path;  // below the working directory; no "..", not absolute
  std::string content;
  bool executable = false;
  bool operator==(const File&) const = default;
};

struct Job {
  // The program by its full path or relative to the working directory. In a warm Python lane: the
  // script and its arguments.
  std::vector<std::string> argv;
  std::string input;  // stdin
  std::vector<File> files;
  std::vector<std::string> fetch;   // files to return; missing ones are left out
  uint64_t fetch_bytes = 64 << 20;  // all of them together
  // Limits the address space where no cgroup can limit memory. Not for programs that reserve much
  // more than they use.
  bool limit_address_space = true;
  Limits limits;
};

struct Outcome {
  Ending ending = Ending::internal;
  std::string message;  // one line that explains an ending other than OK
  int32_t exit_code = 0;
  int32_t signal = 0;
  double cpu_seconds = 0, wall_seconds = 0;
  // Peak: of all processes if a control group measures it, otherwise of the largest process.
  uint64_t memory_bytes = 0;
  std::string out, err;
  std::vector<File> files;  // the requested files
};

// The lane's observations from outside the run.
struct LaneReport {
  bool finished = false;       // the run's supervisor exited normally; its Outcome follows
  bool out_of_memory = false;  // the kernel killed a process of the run
  bool cancelled = false;
  uint64_t memory_bytes = 0;  // the group's peak minus its usage at the start; 0: not known
  std::string message;        // why the run is not finished
};

// Combines both into the final outcome.
Outcome combine(const LaneReport& report, Outcome outcome);

}  // namespace longshot::sandbox

#pragma once
// What a jail is asked to run and what came of it: plain structs, known to the service and to the jail's own processes.

#include <cstdint>
#include <string>
#include <vector>

namespace longshot::sandbox {

// The words are those of isolate, the sandbox of programming contests.
enum class Verdict : uint8_t {
  ok,        // OK: exit code 0
  runtime,   // RE: another exit code
  signaled,  // SG: ended by a signal
  timeout,   // TO: processor or wall time
  memory,    // ML: killed for memory
  output,    // OL: more output, or a larger file, than allowed
  compile,   // CE: the compiler did not accept it, or ran into one of its own limits
  internal,  // XX: the sandbox's own fault; says nothing about the program
};
const char* verdict_word(Verdict verdict);

struct Limits {
  double cpu_seconds = 10;            // of all processes together
  double idle_seconds = 20;           // during which no thread computes or waits for a processor
  double wall_seconds = 20;           // from the program's start
  uint64_t memory_bytes = 512 << 20;  // of all processes together, written files included
  uint32_t processes = 64;            // threads count
  uint32_t open_files = 256;          // a process
  uint64_t file_bytes = 64 << 20;     // one file
  uint64_t disk_bytes = 64 << 20;     // all written files together
  uint32_t inodes = 8192;             // written files and directories
  uint64_t output_bytes = 1 << 20;    // stdout and stderr, each

  // For a program that may compute for so long, however long it waits for a processor on a busy machine.
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
  // The program by its full path, or relative to the working directory; in a warm Python lane: the script, then its
  // arguments.
  std::vector<std::string> argv;
  std::string input;  // stdin
  std::vector<File> files;
  std::vector<std::string> fetch;   // files to bring back; those that are missing are left out
  uint64_t fetch_bytes = 64 << 20;  // all of them together
  bool limit_address_space =
      true;  // where no cgroup can limit memory; not for programs that only reserve much
  Limits limits;
};

struct Outcome {
  Verdict verdict = Verdict::internal;
  std::string message;  // one line on why the verdict is not OK
  int32_t exit_code = 0;
  int32_t signal = 0;
  double cpu_seconds = 0, wall_seconds = 0;
  uint64_t memory_bytes = 0;  // at the peak
  std::string out, err;
  std::vector<File> files;  // those that were to be fetched
};

// What the lane saw from outside of the run.
struct LaneReport {
  bool finished = false;       // the run's supervisor ended in order, its Outcome follows
  bool out_of_memory = false;  // the kernel killed a process of the run
  bool cancelled = false;
  uint64_t memory_bytes = 0;  // the group's peak less what it began with; 0: not known
  std::string message;        // why it is not finished
};

// The outcome that both together mean.
Outcome combine(const LaneReport& report, Outcome outcome);

}  // namespace longshot::sandbox

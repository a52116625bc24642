#include "commands/model/http_options.h"

#include <malloc.h>

namespace longshot::commands {

void add_http_options(CLI::App& command, net::HttpOptions& http, double& grace) {
  command.add_option("--host", http.host, "address to listen on")->capture_default_str();
  command.add_option("--port", http.port, "0 = any free one; it is printed")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      .add_option("--api-key", http.api_key,
                  "key that requests must bring; default: none is asked for")
      ->envname("LONGSHOT_API_KEY");
  command
      .add_option("--grace", grace, "seconds that requests in flight get after Ctrl-C or SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

// Without these limits, glibc keeps memory that was once used by the threads' arenas or as large
// blocks, because its threshold for large blocks grows: three times as much under
// bench/hostile_load.
void return_memory_early() {
  mallopt(M_ARENA_MAX, 8);
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
}

}  // namespace longshot::commands

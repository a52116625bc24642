// longshot-symbolic answers "CPU_MILLISECONDS MEGABYTES POSITIVE<tab>EXPRESSION<tab>EXPRESSION"
// lines on stdin with "equal", "different", "unproven" or "error: ..." lines. It is a separate
// program, so that unbounded work can be killed, and small, so that a new one starts in
// milliseconds. Its only user is math/compare/symbolic_pool.h.

#include <sys/resource.h>
#include <sys/time.h>

#include <charconv>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "math/symbolic/prove.h"

namespace longshot::math {
namespace {

std::vector<std::string_view> cut(std::string_view line, char separator) {
  std::vector<std::string_view> out;
  for (size_t start = 0; start <= line.size();) {
    const size_t end = std::min(line.find(separator, start), line.size());
    out.push_back(line.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

long to_long(std::string_view text) {
  long value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// SIGPROF ends the process after the given time; 0 removes the limit.
void limit_processor_time(long milliseconds) {
  const itimerval timer{{0, 0}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

// Sanitizers reserve unlimited address space, so there is no limit under them.
void limit_memory([[maybe_unused]] long megabytes) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  const auto bytes = static_cast<rlim_t>(megabytes) << 20;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = std::min(bytes, limit.rlim_max);
  setrlimit(RLIMIT_AS, &limit);
#endif
}

std::string answer(const std::string& line) {
  const auto fields = cut(line, '\t');
  if (fields.size() != 3) return "error: a request has three fields";
  const auto limits = cut(fields[0], ' ');
  const auto a = from_wire(fields[1]), b = from_wire(fields[2]);
  if (limits.size() != 3 || !a || !b) return "error: the request is malformed";
  limit_memory(to_long(limits[1]));
  limit_processor_time(to_long(limits[0]));
  const Proof proof = prove(*a, *b, limits[2] == "1");
  limit_processor_time(0);
  return proof == Proof::equal ? "equal" : proof == Proof::different ? "different" : "unproven";
}

}  // namespace
}  // namespace longshot::math

int main() {
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << longshot::math::answer(line) << std::endl;
    } catch (const std::bad_alloc&) {
      std::cout << "error: out of memory" << std::endl;
      return 0;  // ending the process frees its memory
    }
  }
  return 0;
}

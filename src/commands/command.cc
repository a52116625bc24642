#include "commands/command.h"

#include <cstdio>

namespace longshot::commands {

int finish(const Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "longshot: %s\n", status.message().c_str());
  switch (status.code()) {
    case StatusCode::invalid_argument:
    case StatusCode::not_found:
    case StatusCode::corrupt:
      return 2;
    case StatusCode::cancelled:
      return 130;
    default:
      return 1;
  }
}

}  // namespace longshot::commands

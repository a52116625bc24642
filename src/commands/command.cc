#include "commands/command.h"

#include <cstdio>

#include "model/torch/exceptions.h"

namespace longshot::commands {
namespace {

int exit_code_of(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok:
      return 0;
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

}  // namespace

int finish(const std::function<Status()>& work) {
  const Status status = model::caught(work);
  if (!status.ok()) std::fprintf(stderr, "longshot: %s\n", status.message().c_str());
  return exit_code_of(status);
}

}  // namespace longshot::commands

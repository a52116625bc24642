#include "commands/command.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <new>

#include "base/log.h"

namespace longshot::commands {
namespace {

constexpr const char* kOutOfMemory =
    "out of memory: the limit of this process or machine is too low for this command; "
    "`longshot doctor` says what is usable, `longshot doctor --plan CONFIG` what a run needs";

// The first line of a tensor library's message, without its stack.
Status from_tensor_library(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  if (text.find("allocate memory") != std::string::npos ||
      text.find("out of memory") != std::string::npos)
    return internal_error(kOutOfMemory);
  return internal_error(text.substr(0, text.find('\n')));
}

Status caught(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return from_tensor_library(error);
  } catch (const std::bad_alloc&) {
    return internal_error(kOutOfMemory);
  } catch (const std::exception& error) {
    return internal_error(error.what());
  }
}

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
  const Status status = caught(work);
  if (!status.ok()) std::fprintf(stderr, "longshot: %s\n", status.message().c_str());
  return exit_code_of(status);
}

}  // namespace longshot::commands

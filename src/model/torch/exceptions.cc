#include "model/torch/exceptions.h"

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>

namespace longshot::model {
namespace {

constexpr const char* kOutOfMemory =
    "out of memory: the limit of this process or machine is too low for this command; "
    "`longshot doctor` says what is usable, `longshot doctor --plan CONFIG` what a run needs";

Status from_tensor_library(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  if (text.find("allocate memory") != std::string::npos ||
      text.find("out of memory") != std::string::npos)
    return internal_error(kOutOfMemory);
  return internal_error(text.substr(0, text.find('\n')));
}

}  // namespace

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

}  // namespace longshot::model

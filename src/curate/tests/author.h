#pragma once
// Who writes a generator: a model in this process, or a service.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::curate {

// Implementations are thread-safe and hold every call to a deadline.
class Author {
 public:
  virtual ~Author() = default;

  // The answer's text; attempts 0, 1, ... differ if there is a temperature. Errors: cancelled by stop_requested();
  // invalid_argument if no request at all can succeed (a wrong key, address or model); any other: this one failed.
  virtual Result<std::string> write(const std::vector<data::Message>& request, int attempt) = 0;
};

}  // namespace longshot::curate

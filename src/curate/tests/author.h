#pragma once
// The author of generators: a model in this process, or a service.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::curate {

// Implementations are thread-safe and limit every call by a deadline.
class Author {
 public:
  virtual ~Author() = default;

  // Returns the text of the answer. Attempts 0, 1, ... differ if there is a temperature. Errors:
  // cancelled by stop_requested(); invalid_argument if no request can succeed (a wrong key, address
  // or model); any other error is that of this request only.
  virtual Result<std::string> write(const std::vector<data::Message>& request, int attempt) = 0;
};

}  // namespace longshot::curate

#pragma once
// Where samples come from: a model in this process or a server.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::curate {

// The end of one request. `status` is ok if there is a response.
struct Response {
  Status status;
  // text, finish, tokens and logprobs; tokens and logprobs are empty if the source does not give
  // them.
  data::Sample sample;
  int64_t tokens = 0;  // 0: unknown
};

// Thread-safe.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  // Asks for the samples of one prompt with these indices and waits for them; result[i] belongs to
  // indices[i]. A response depends on the prompt, its id and the index, as far as the source allows
  // it. Soon after stop_requested(), the status of what is missing is `cancelled`. A status
  // `invalid_argument` means that no request can succeed.
  virtual std::vector<Response> ask(const data::Prompt& prompt,
                                    const std::vector<uint32_t>& indices) = 0;
};

}  // namespace longshot::curate

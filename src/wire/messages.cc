#include "wire/messages.h"

namespace longshot::wire {

bool Job::operator==(const Job& o) const {
  return id == o.id && data::to_json(sample) == data::to_json(o.sample) &&
         max_response_length == o.max_response_length && segment_tokens == o.segment_tokens &&
         forced == o.forced;
}

}  // namespace longshot::wire

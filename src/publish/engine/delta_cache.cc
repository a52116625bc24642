#include "publish/engine/delta_cache.h"

#include <utility>

#include "publish/engine/delta.h"

namespace longshot::publish {

std::shared_ptr<const std::string> DeltaCache::get(const HeldVersion& base,
                                                   const HeldVersion& target) {
  const std::string key = base.manifest_text() + target.manifest_text();
  std::lock_guard lock(mutex_);
  if (key == key_) return delta_;
  auto delta = encode_delta(base, target);
  key_ = key;
  delta_ = delta ? std::make_shared<const std::string>(std::move(*delta)) : nullptr;
  return delta_;
}

}  // namespace longshot::publish

#include "cluster/registration.h"

#include <utility>

namespace longshot::cluster {

Registration::Registration(Directory& directory, std::string key, const Json& value,
                           RegistrationOptions options)
    : directory_(directory),
      key_(std::move(key)),
      options_(std::move(options)),
      lease_(directory, options_.ttl_seconds, options_.now),
      value_(dump_json(value)) {}

Result<std::unique_ptr<Registration>> Registration::start(Directory& directory, std::string key,
                                                          const Json& value,
                                                          RegistrationOptions options,
                                                          Deadline deadline) {
  std::unique_ptr<Registration> made(
      new Registration(directory, std::move(key), value, std::move(options)));
  LS_RETURN_IF_ERROR(made->enter(deadline));
  made->heartbeat_.emplace(made->options_.now, made->lease_.ttl_seconds() / 3,
                           [registration = made.get()] { return registration->beat(); });
  return made;
}

Registration::~Registration() {
  heartbeat_.reset();
  lease_.end(Deadline::after_seconds(1));
}

void Registration::update(const Json& value) {
  {
    std::lock_guard lock(mutex_);
    value_ = dump_json(value);
  }
  heartbeat_->beat_now();
}

std::string Registration::value() const {
  std::lock_guard lock(mutex_);
  return value_;
}

Status Registration::write(Deadline deadline) {
  return directory_.put(key_, value(), lease_.id(), deadline).status();
}

Status Registration::enter(Deadline deadline) {
  LS_RETURN_IF_ERROR(lease_.begin(deadline));
  return write(deadline);
}

Status Registration::renew(Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Entry entry, lease_.renew(key_, deadline));
  const bool right = entry.lease == lease_.id() && entry.value == value();
  return right ? ok_status() : write(deadline);
}

double Registration::beat() {
  const double third = lease_.ttl_seconds() / 3;
  const Deadline deadline = Deadline::after_seconds(third);
  const bool was_lost = lost_;
  const Status status = was_lost ? enter(deadline) : renew(deadline);
  const bool gone = status.code() == StatusCode::not_found;
  if (status.ok() || gone || !lease_.valid()) lost_ = !status.ok();
  if (gone && !was_lost) return 0;
  return status.ok() ? third : third / 4;
}

}  // namespace longshot::cluster

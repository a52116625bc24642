#pragma once
// A folder with certificates, whose files are read again when they change.

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/status.h"

namespace longshot::net {

// The files of a folder for TLS, all in PEM; the names are those of cert-manager's secrets in
// Kubernetes.
inline constexpr const char* kAuthorityFile = "/ca.crt";
inline constexpr const char* kCertificateFile = "/tls.crt";  // then those up to the authority
inline constexpr const char* kKeyFile = "/tls.key";

// Differs from an earlier one if a file of the folder was written or replaced in between.
std::string stamps_of(const std::string& folder);
void log_renewal(const std::string& folder, const Status& reading);

// Thread-safe. `Files` has a static load(folder), which returns
// Result<std::shared_ptr<const Files>>.
template <typename Files>
class TlsFolder {
 public:
  // The errors are those of Files::load().
  static Result<std::shared_ptr<const TlsFolder>> open(const std::string& folder) {
    std::string stamps = stamps_of(folder);
    LS_ASSIGN_OR_RETURN(auto files, Files::load(folder));
    return std::shared_ptr<const TlsFolder>(
        new TlsFolder(folder, std::move(stamps), std::move(files)));
  }

  const std::string& path() const { return path_; }

  // What the folder contains now, or what it contained last if it cannot be used: a process keeps
  // its certificate while only one file of a new pair is there. The log tells of each change.
  std::shared_ptr<const Files> current() const {
    std::lock_guard lock(mutex_);
    std::string stamps = stamps_of(path_);
    if (stamps == stamps_) return files_;
    stamps_ = std::move(stamps);  // from before the reading, so a change during it is noticed
    auto files = Files::load(path_);
    log_renewal(path_, files.status());
    if (files.ok()) files_ = std::move(files).value();
    return files_;
  }

 private:
  TlsFolder(std::string path, std::string stamps, std::shared_ptr<const Files> files)
      : path_(std::move(path)), stamps_(std::move(stamps)), files_(std::move(files)) {}

  const std::string path_;
  mutable std::mutex mutex_;  // guards the fields below
  mutable std::string stamps_;
  mutable std::shared_ptr<const Files> files_;
};

}  // namespace longshot::net

#include "net/tls/tls_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.h"

namespace longshot::net {

// Follows links, because Kubernetes replaces a secret by moving one.
std::string stamps_of(const std::string& folder) {
  std::string out;
  for (const char* name : {kAuthorityFile, kCertificateFile, kKeyFile}) {
    struct stat seen {};
    if (::stat((folder + name).c_str(), &seen) != 0) seen = {};
    out += fmt::format("{} {} {} {}.{} {}.{};", seen.st_dev, seen.st_ino, seen.st_size,
                       seen.st_mtim.tv_sec, seen.st_mtim.tv_nsec, seen.st_ctim.tv_sec,
                       seen.st_ctim.tv_nsec);
  }
  return out;
}

void log_renewal(const std::string& folder, const Status& reading) {
  if (reading.ok()) {
    log::info("the certificates in {} have changed; new connections use them", folder);
  } else {
    log::warn(
        "the certificates in {} have changed and cannot be used, so the earlier ones stay in "
        "use: {}",
        folder, reading.message());
  }
}

}  // namespace longshot::net

#pragma once
// Authorities and folders with certificates, for tests.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/os/fs.h"
#include "net/tls/certificates.h"
#include "net/tls/tls_identity.h"

namespace longshot::net {

// Its folders are removed with it.
class TestAuthority {
 public:
  TestAuthority() {
    std::string pattern = (std::filesystem::temp_directory_path() / "longshot-tls-XXXXXX").string();
    LS_CHECK(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    root_ = pattern;
    pem_ = make_authority("a test authority", valid_for(1)).value();
  }
  ~TestAuthority() { std::filesystem::remove_all(root_); }
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  // A folder for a host with these names.
  std::string folder(const std::vector<std::string>& hosts, const Validity& validity) {
    const std::string out = root_ + "/" + std::to_string(++folders_);
    std::filesystem::create_directory(out);
    const KeyAndCertificate made = make_certificate(pem_, hosts, validity, "test").value();
    write(out + "/ca.crt", pem_.certificate);
    write(out + "/tls.crt", made.certificate);
    write(out + "/tls.key", made.key);
    return out;
  }
  std::string folder(const std::vector<std::string>& hosts) { return folder(hosts, valid_for(1)); }
  std::shared_ptr<const IdentityFolder> identity(const std::vector<std::string>& hosts) {
    return IdentityFolder::open(folder(hosts)).value();
  }
  const KeyAndCertificate& pem() const { return pem_; }

  // Moves a folder or a file to the place of another one.
  static void replace(const std::string& old, const std::string& by) {
    std::filesystem::remove_all(old);
    std::filesystem::rename(by, old);
  }
  static void write(const std::string& path, const std::string& text) {
    LS_CHECK(write_file_atomic(path, text).ok(), "write");
  }

 private:
  std::string root_;
  KeyAndCertificate pem_;
  int folders_ = 0;
};

// A certificate that ended a minute ago.
inline Validity expired() {
  const std::time_t now = std::time(nullptr);
  return {now - 3600, now - 60};
}

}  // namespace longshot::net

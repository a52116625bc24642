#include "wire/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include <cstdlib>
#include <mutex>
#include <utility>

namespace longshot::wire {
namespace {

// Asks the folder at each new connection, for which gRPC has functions in C only.
class FolderCredentials final : public grpc::ServerCredentials {
 public:
  explicit FolderCredentials(std::shared_ptr<const net::IdentityFolder> folder)
      : folder_(std::move(folder)),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, &fetch, this))) {}
  ~FolderCredentials() override { grpc_server_credentials_release(credentials_); }
  FolderCredentials(const FolderCredentials&) = delete;
  FolderCredentials& operator=(const FolderCredentials&) = delete;

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status fetch(void* self,
                                                         grpc_ssl_server_certificate_config** out) {
    return static_cast<FolderCredentials*>(self)->renew(out);
  }

  grpc_ssl_certificate_config_reload_status renew(grpc_ssl_server_certificate_config** out) {
    std::lock_guard lock(mutex_);
    const auto own = folder_->current();
    if (own == used_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair{own->key().c_str(), own->certificate().c_str()};
    *out = grpc_ssl_server_certificate_config_create(own->authority().c_str(), &pair, 1);
    used_ = own;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const std::shared_ptr<const net::IdentityFolder> folder_;
  grpc_server_credentials* const credentials_;
  std::mutex mutex_;
  std::shared_ptr<const net::TlsIdentity> used_;  // guarded by mutex_
};

}  // namespace

void quiet_grpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

std::string token_value(const std::string& token) {
  return "Bearer " + token;
}

std::shared_ptr<grpc::ServerCredentials> server_credentials(const LinkOptions& options) {
  if (!options.tls) return grpc::InsecureServerCredentials();
  return std::make_shared<FolderCredentials>(options.tls);
}

std::shared_ptr<grpc::ChannelCredentials> client_credentials(const LinkOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  const auto own = options.tls->current();
  return grpc::SslCredentials({own->authority(), own->key(), own->certificate()});
}

}  // namespace longshot::wire

#include "wire/credentials.h"

#include <grpc/support/log.h>

#include <cstdlib>

namespace longshot::wire {

void quiet_grpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

std::string token_value(const std::string& token) {
  return "Bearer " + token;
}

std::shared_ptr<grpc::ServerCredentials> server_credentials(const LinkOptions& options) {
  if (!options.tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = options.tls->authority();
  tls.pem_key_cert_pairs = {{options.tls->key(), options.tls->certificate()}};
  return grpc::SslServerCredentials(tls);
}

std::shared_ptr<grpc::ChannelCredentials> client_credentials(const LinkOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials(
      {options.tls->authority(), options.tls->key(), options.tls->certificate()});
}

}  // namespace longshot::wire

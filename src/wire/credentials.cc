#include "wire/credentials.h"

#include <grpc/support/log.h>

#include <cstdlib>

#include "base/os/fs.h"

namespace longshot::wire {

void quiet_grpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

std::string token_value(const std::string& token) {
  return "Bearer " + token;
}

Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials(const TlsFiles& files) {
  if (files.certificate.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options;
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  LS_ASSIGN_OR_RETURN(pair.cert_chain, read_file(files.certificate));
  LS_ASSIGN_OR_RETURN(pair.private_key, read_file(files.key));
  options.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> client_credentials(const TlsFiles& files) {
  if (files.ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  LS_ASSIGN_OR_RETURN(options.pem_root_certs, read_file(files.ca));
  return grpc::SslCredentials(options);
}

}  // namespace longshot::wire

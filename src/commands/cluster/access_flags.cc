#include "commands/cluster/access_flags.h"

#include "commands/cluster/cluster.h"
#include "commands/key_flags.h"

namespace longshot::commands {
namespace {

Settings keys_of(config::ClusterAccess& access) {
  Settings keys;
  config::bind_access(keys, access);
  return keys;
}

}  // namespace

void add_credential_flags(CLI::App& command, config::ClusterAccess& access) {
  add_key_flags(command, keys_of(access),
                {{"--token-file", "cluster.token_file"}, {"--tls-dir", "cluster.tls_dir"}});
}

void add_etcd_flags(CLI::App& command, config::ClusterAccess& access) {
  add_credential_flags(command, access);
  add_key_flags(command, keys_of(access),
                {{"--etcd-tls-dir", "cluster.etcd_tls_dir"},
                 {"--etcd-login-file", "cluster.etcd_login_file"}});
}

void add_access_flags(CLI::App& command, config::ClusterAccess& access) {
  command
      .add_option("--cluster", access.url,
                  "etcd://HOST:PORT[,HOST:PORT...]/NAME of the run; etcds:// for an etcd with TLS")
      ->envname(kClusterVariable)
      ->required();
  add_etcd_flags(command, access);
}

}  // namespace longshot::commands

#include "loop/cluster/access.h"

#include "base/log.h"
#include "base/os/fs.h"
#include "base/text/text.h"
#include "cluster/etcd.h"

namespace longshot::loop {

Result<std::string> read_token(const std::string& path) {
  if (path.empty()) return std::string();
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  const std::string token(trim(text));
  if (!token.empty() && token.find_first_of("\r\n") == std::string::npos) return token;
  return invalid_argument("'" + path + "' is not one line with the token");
}

Result<net::Credentials> read_credentials(const std::string& token_file,
                                          const std::string& tls_dir) {
  net::Credentials out;
  LS_ASSIGN_OR_RETURN(out.token, read_token(token_file));
  if (tls_dir.empty()) return out;
  LS_ASSIGN_OR_RETURN(out.tls, net::IdentityFolder::open(tls_dir));
  return out;
}

Result<cluster::EtcdAccess> read_etcd_access(const config::ClusterAccess& options,
                                             const cluster::ClusterUrl& url) {
  cluster::EtcdAccess out;
  if (!url.tls && !options.etcd_tls_dir.empty())
    return invalid_argument("cluster.etcd_tls_dir (--etcd-tls-dir) is for etcds://, and '" +
                            options.url + "' is not encrypted");
  if (url.tls) out.tls_dir = options.etcd_tls_dir.empty() ? options.tls_dir : options.etcd_tls_dir;
  if (!out.tls_dir.empty()) LS_RETURN_IF_ERROR(net::ClientFolder::open(out.tls_dir).status());
  LS_ASSIGN_OR_RETURN(const std::string login, read_token(options.etcd_login_file));
  if (login.empty()) return out;
  const size_t colon = login.find(':');
  if (colon == std::string::npos || colon == 0)
    return invalid_argument("'" + options.etcd_login_file + "' is not USER:PASSWORD");
  out.user = login.substr(0, colon);
  out.password = login.substr(colon + 1);
  if (!url.tls)
    log::warn("the password for etcd is not encrypted on its way; etcds:// encrypts it");
  return out;
}

Result<Access> open_access(const config::ClusterAccess& options) {
  Access out;
  LS_ASSIGN_OR_RETURN(out.url, cluster::parse_cluster_url(options.url));
  LS_ASSIGN_OR_RETURN(out.credentials, read_credentials(options.token_file, options.tls_dir));
  LS_ASSIGN_OR_RETURN(out.etcd, read_etcd_access(options, out.url));
  out.directory = cluster::make_etcd_directory(out.url, {.access = out.etcd});
  return out;
}

Result<Coordinator> find_coordinator(Access& access, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const cluster::Entry entry, access.directory->get(kAddress, deadline));
  if (entry.revision == 0)
    return unavailable("the run '" + access.url.run + "' has no coordinator now");
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(entry.value, kAddress));
  LS_ASSIGN_OR_RETURN(Coordinator found, coordinator_from_json(json));
  LS_RETURN_IF_ERROR(net::check_scheme(found.url, access.credentials)
                         .with_context("the coordinator " + found.name));
  return found;
}

}  // namespace longshot::loop

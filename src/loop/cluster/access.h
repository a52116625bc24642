#pragma once
// What a process needs to take part in a run on many machines, or to look at it.

#include <memory>

#include "base/status.h"
#include "cluster/cluster_url.h"
#include "cluster/directory.h"
#include "config/sections/cluster.h"
#include "loop/cluster/settings.h"
#include "net/tls/tls_identity.h"

namespace longshot::loop {

// The content of a file with a secret, without white space at its ends; "" if `path` is empty.
Result<std::string> read_token(const std::string& path);

// Reads both files. Errors name the file.
Result<net::Credentials> read_credentials(const std::string& token_file,
                                          const std::string& tls_dir);

// What the etcd of `url` demands. Errors name the file; the url must be etcds:// for a folder with
// certificates of its own.
Result<cluster::EtcdAccess> read_etcd_access(const config::ClusterAccess& options,
                                             const cluster::ClusterUrl& url);

struct Access {
  cluster::ClusterUrl url;
  net::Credentials credentials;  // of the run
  cluster::EtcdAccess etcd;
  std::unique_ptr<cluster::Directory> directory;
};
// Reads the files, and does not connect. Errors: invalid_argument for the url or a file.
Result<Access> open_access(const config::ClusterAccess& options);

// The process that leads the run. Errors: unavailable if none does; those of Directory;
// invalid_argument if only one of it and this process uses TLS.
Result<Coordinator> find_coordinator(Access& access, Deadline deadline);

}  // namespace longshot::loop

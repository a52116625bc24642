#pragma once
// The flags by which commands reach a run on many machines: keys of section [cluster].

#include <CLI/CLI.hpp>

#include "config/sections/cluster.h"

namespace longshot::commands {

// --token-file and --tls-dir.
void add_credential_flags(CLI::App& command, config::ClusterAccess& access);
// Those, and --etcd-tls-dir and --etcd-login-file.
void add_etcd_flags(CLI::App& command, config::ClusterAccess& access);
// All of these, and --cluster, which is required.
void add_access_flags(CLI::App& command, config::ClusterAccess& access);

}  // namespace longshot::commands

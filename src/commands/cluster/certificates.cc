// longshot certificates: makes an authority for the processes of a run, and a folder with a key and
// a certificate for each host.

#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>

#include "base/os/fs.h"
#include "base/text/text.h"
#include "commands/cluster/cluster.h"
#include "commands/command.h"
#include "net/tls/certificates.h"
#include "net/tls/tls_identity.h"

namespace longshot::commands {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAuthority = "authority";
constexpr double kAuthorityDays = 3650;

struct Options {
  std::string out;
  std::vector<std::string> hosts;  // "NAME[,NAME...]"
  double days = 365;
  bool replace = false;
};

struct Host {
  fs::path folder;
  std::vector<std::string> names;
};

// Makes the whole folder or nothing. Keys can be read by their owner only.
Status write_folder(const fs::path& folder, const std::map<std::string, std::string>& files) {
  const fs::path fresh = folder.parent_path() / ("." + folder.filename().string() + ".new");
  const fs::path old = folder.parent_path() / ("." + folder.filename().string() + ".old");
  LS_RETURN_IF_ERROR(remove_tree(fresh));
  const mode_t before = ::umask(0077);
  Status status = make_directories(fresh);
  for (const auto& [name, content] : files)
    if (status.ok()) status = write_file_durable(fresh / name, content);
  ::umask(before);
  if (status.ok()) status = remove_tree(old);
  if (status.ok() && fs::exists(folder)) status = rename_durable(folder, old);
  if (status.ok()) status = rename_durable(fresh, folder);
  if (status.ok()) return remove_tree(old);
  (void)remove_tree(fresh);
  return status;
}

Result<net::KeyAndCertificate> read_authority(const fs::path& folder) {
  net::KeyAndCertificate out;
  LS_ASSIGN_OR_RETURN(out.certificate, read_file(folder / "ca.crt"));
  LS_ASSIGN_OR_RETURN(out.key, read_file(folder / "ca.key"));
  return out;
}

Result<net::KeyAndCertificate> read_or_make_authority(const fs::path& folder) {
  if (fs::exists(folder)) return read_authority(folder);
  LS_ASSIGN_OR_RETURN(const net::KeyAndCertificate made,
                      net::make_authority("longshot authority", net::valid_for(kAuthorityDays)));
  LS_RETURN_IF_ERROR(write_folder(folder, {{"ca.crt", made.certificate}, {"ca.key", made.key}}));
  fmt::print("{}: a new authority; whoever has ca.key can admit hosts, so keep it here\n",
             folder.string());
  return made;
}

// Checks everything, so that a mistake in the last host leaves nothing behind.
Result<std::vector<Host>> read_hosts(const Options& options) {
  std::vector<Host> out;
  std::set<std::string> seen;
  LS_ASSIGN_OR_RETURN(const auto trial, net::make_authority("trial", net::valid_for(1)));
  for (const std::string& text : options.hosts) {
    Host host{{}, split_at_commas(text)};
    LS_RETURN_IF_ERROR(net::make_certificate(trial, host.names, net::valid_for(1), "--host")
                           .status()
                           .with_context("--host " + text));
    host.folder = fs::path(options.out) / host.names[0];
    if (host.names[0] == kAuthority || !seen.insert(host.names[0]).second)
      return invalid_argument("--host " + text + ": the folder " + host.folder.string() +
                              " would be used twice");
    if (fs::exists(host.folder) && !options.replace)
      return invalid_argument(host.folder.string() +
                              " exists; --replace makes a new key and certificate in its place");
    out.push_back(std::move(host));
  }
  return out;
}

Status run(const Options& options) {
  LS_ASSIGN_OR_RETURN(const std::vector<Host> hosts, read_hosts(options));
  LS_RETURN_IF_ERROR(make_directories(options.out));
  const fs::path folder = fs::path(options.out) / kAuthority;
  LS_ASSIGN_OR_RETURN(const net::KeyAndCertificate authority, read_or_make_authority(folder));
  for (const Host& host : hosts) {
    LS_ASSIGN_OR_RETURN(const net::KeyAndCertificate made,
                        net::make_certificate(authority, host.names, net::valid_for(options.days),
                                              folder.string()));
    LS_RETURN_IF_ERROR(write_folder(
        host.folder,
        {{"ca.crt", authority.certificate}, {"tls.crt", made.certificate}, {"tls.key", made.key}}));
    LS_ASSIGN_OR_RETURN(const auto identity, net::TlsIdentity::load(host.folder.string()));
    fmt::print("{}: valid until {}\n", host.folder.string(), identity->expiry());
  }
  return ok_status();
}

}  // namespace

void add_certificates(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "certificates", "Make the keys and certificates with which processes of a run use TLS");
  command
      ->add_option("--out", options->out,
                   "folder that gets authority/ (ca.crt, ca.key), unless it has one, and a folder "
                   "for each host (ca.crt, tls.crt, tls.key)")
      ->required();
  command
      ->add_option("--host", options->hosts,
                   "NAME[,NAME...]: names and addresses by which others reach a host; the first "
                   "one names its folder; repeated for each host")
      ->required()
      ->expected(1)
      ->take_all();
  command->add_option("--days", options->days, "how long the certificates of hosts are valid")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--replace", options->replace,
                    "make new keys and certificates for hosts that have some");
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands

#pragma once
// Makes the certificates of a run: an authority, and what it signs.

#include <ctime>
#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::net {

// Both in PEM. Keys are on the curve P-256.
struct KeyAndCertificate {
  std::string key, certificate;
};

struct Validity {
  std::time_t from = 0, until = 0;
};
// From an hour ago, because clocks differ, to `days` from now.
Validity valid_for(double days);

// An authority that signs certificates of hosts but not of other authorities.
Result<KeyAndCertificate> make_authority(const std::string& name, const Validity& validity);

// A certificate for clients and servers, signed by the authority. `hosts` are names and addresses
// by which clients reach the host; there is at least one. Errors: invalid_argument if one of them
// is neither, or if the authority cannot be read; `where` is the prefix of the latter.
Result<KeyAndCertificate> make_certificate(const KeyAndCertificate& authority,
                                           const std::vector<std::string>& hosts,
                                           const Validity& validity, const std::string& where);

}  // namespace longshot::net

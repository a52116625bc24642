#pragma once
// Children in namespaces of their own.

#include <sys/types.h>

#include <cstdint>

namespace longshot::sandbox::jail {

// Ids inside every jail. With two ids the supervisor of a run is not the program's user, which root can arrange and an
// ordinary user, who has one id to give, cannot.
constexpr unsigned kKeeperId = 0;
constexpr unsigned kProgramId = 1000;

struct Ids {
  bool two = false;
  // What they are outside; the keeper's counts only with `two`.
  unsigned outside_keeper = 0, outside_user = 0, outside_group = 0;
  unsigned keeper() const { return two ? kKeeperId : kProgramId; }
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;
};

// Clones this process, which has one thread, into new namespaces of every kind. With `ids`, the child begins with the
// keeper's id and all capabilities inside a user namespace of its own; without, it stays in the present one. It is
// killed when its parent ends. Returns twice, with pid 0 in the child. Faults end the process.
Child clone_into_namespaces(const Ids* ids);

// From the keeper's id to the program's; gives up every capability for good.
void become_powerless();

}  // namespace longshot::sandbox::jail

#pragma once
// Creates child processes in their own namespaces.

#include <sys/types.h>

#include <cstdint>

namespace longshot::sandbox::jail {

// User ids inside every jail. With two ids, the supervisor of a run has another user id than the
// program. Root can set this up; an ordinary user has only one id to map and cannot.
constexpr unsigned kKeeperId = 0;
constexpr unsigned kProgramId = 1000;

struct Ids {
  bool two = false;
  // Ids outside the jail; the keeper's is used only with `two`.
  unsigned outside_keeper = 0, outside_user = 0, outside_group = 0;
  unsigned keeper() const { return two ? kKeeperId : kProgramId; }
};

struct Child {
  pid_t pid = -1;
  int pidfd = -1;
};

// Clones this process, which must have only one thread, into new namespaces of every kind. With
// `ids`, the child starts in its own user namespace with the keeper's id and all capabilities;
// otherwise it remains in the current user namespace. The child is killed when its parent ends.
// Returns twice, with pid 0 in the child. Faults end the process.
Child clone_into_namespaces(const Ids* ids);

// Changes from the keeper's id to the program's and gives up every capability permanently.
void become_powerless();

}  // namespace longshot::sandbox::jail

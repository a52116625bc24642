#include "sandbox/jail/namespaces.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>

#include <string>

#include "sandbox/jail/die.h"
#include "sandbox/jail/syscalls.h"

namespace longshot::sandbox::jail {
namespace {

constexpr uint64_t kNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;

void write_proc(pid_t pid, const char* name, const std::string& text) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const int fd = must(::open(path.c_str(), O_WRONLY | O_CLOEXEC), name);
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) fault(path);
  ::close(fd);
}

std::string map_line(unsigned inside, unsigned outside) {
  return std::to_string(inside) + " " + std::to_string(outside) + " 1\n";
}

void write_maps(pid_t pid, const Ids& ids) {
  const std::string keeper = ids.two ? map_line(kKeeperId, ids.outside_keeper) : "";
  write_proc(pid, "uid_map", keeper + map_line(kProgramId, ids.outside_user));
  write_proc(pid, "setgroups", "deny");
  write_proc(pid, "gid_map", keeper + map_line(kProgramId, ids.outside_group));
}

void become(unsigned id) {
  must(::setresgid(id, id, id), "setresgid");
  must(::setresuid(id, id, id), "setresuid");
}

}  // namespace

Child clone_into_namespaces(const Ids* ids) {
  int go[2];  // the child waits until its id maps are written
  must(::pipe2(go, O_CLOEXEC), "pipe");
  Child child;
  child.pid = must(raw_clone(kNamespaces | (ids != nullptr ? CLONE_NEWUSER : 0), &child.pidfd),
                   "clone3 into namespaces");
  if (child.pid == 0) {
    ::close(go[1]);
    char byte;
    if (::read(go[0], &byte, 1) != 1) ::_exit(kFaultExit);  // the parent has ended
    if (ids != nullptr) become(ids->keeper());
    must(::prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
    ::close(go[0]);
    return child;
  }
  if (ids != nullptr) write_maps(child.pid, *ids);
  ::close(go[0]);
  if (::write(go[1], "g", 1) != 1) fault("starting a child");
  ::close(go[1]);
  return child;
}

void become_powerless() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    must(::prctl(PR_CAPBSET_DROP, capability), "dropping a capability");
  become(kProgramId);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  must(static_cast<int>(::syscall(SYS_capset, &header, none)), "capset");
  must(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "clearing capabilities");
  must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

}  // namespace longshot::sandbox::jail

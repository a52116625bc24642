"""A Slurm of three nodes in network namespaces, with its own configuration, key and folders. Debian's packages are
enough: no service of the machine is used or changed."""
import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from deploy_support import command_lines, wait_until
from network_support import HOSTS

NODES = {"A": "node1", "B": "node2", "C": "node3"}
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue", "scontrol")


def require_slurm():
    missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        pytest.xfail(f"Slurm is not installed ({', '.join(missing)}); tools/setup --tests installs it")


def configuration(folder):
    nodes = "\n".join(f"NodeName={NODES[host]} NodeAddr={address} CPUs=1 State=UNKNOWN"
                      for host, address in HOSTS.items())
    return f"""
ClusterName=test
SlurmctldHost={NODES["A"]}({HOSTS["A"]})
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


class Slurm:
    """One worker or coordinator a node, because a node has one processor. `network`: a network_support.Network."""

    def __init__(self, network, folder):
        self.network, self.folder, self.daemons = network, folder, []
        (folder / "state").mkdir(parents=True)
        (folder / "slurm.conf").write_text(configuration(folder))
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"),
                            "PATH": os.environ["PATH"] + ":/usr/sbin"}
        self.environment.pop("LONGSHOT_CLUSTER", None)
        try:
            self.start_all()
        except BaseException:
            self.close()
            raise

    def start_all(self):
        self.start("A", "munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket",
                   f"--key-file={self.folder}/munge.key", f"--log-file={self.folder}/munge.log",
                   f"--pid-file={self.folder}/munge.pid", f"--seed-file={self.folder}/munge.seed")
        wait_until((self.folder / "munge.socket").exists)
        self.start_on("A", "slurmctld -D -c")
        for host, node in NODES.items():
            self.start_on(host, f"slurmd -D -N {node}")
        wait_until(lambda: self.call("sinfo", "--noheader", "--format=%t %D").stdout.split() == ["idle", "3"])

    def start(self, host, *words):
        log = (self.folder / f"{words[0]}.{host}.out").open("w")
        self.daemons.append(self.network.start(host, *words, stdout=log, stderr=log, env=self.environment,
                                               start_new_session=True))

    def start_on(self, host, command):
        """With the name of the node as host name."""
        self.start(host, "unshare", "--uts", "sh", "-c", f"hostname {NODES[host]} && exec {command}")

    def call(self, *words, code=None, cwd=None, host="A"):
        """Runs a command of Slurm, or one that uses such commands, on a node."""
        done = subprocess.run(["ip", "netns", "exec", self.network.name + host, *map(str, words)], capture_output=True,
                              text=True, timeout=60, env=self.environment, cwd=cwd)
        assert code is None or done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
        return done

    def jobs(self):
        """{job id: state} of the queue; elements of an array are JOB_INDEX."""
        lines = self.call("squeue", "--noheader", "--array", "--format=%i %T", code=0).stdout.splitlines()
        return dict(line.split() for line in lines)

    def processes(self):
        """What runs on the nodes beside Slurm itself: {process id: command line}."""
        found = {}
        for host in HOSTS:
            found.update(command_lines(self.network.processes(host)))
        return {number: line for number, line in found.items()
                if not line.startswith(("slurmctld", ": slurmscriptd", "slurmscriptd", "slurmd ", "munged ", "slurmstepd",
                                        "unshare ", "sh -c hostname"))}

    def close(self):
        for process in reversed(self.daemons):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.daemons:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        for host in HOSTS:  # those of jobs that a failed test has left
            for number in self.network.processes(host):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

"""deploy/ray/launch.py on a Ray of two nodes in network namespaces; tests/cluster/try_ray runs this file."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from deploy_support import DEPLOY, LaunchedRun, command_lines, text_of, train_alone, wait_until
from network_support import HOSTS, make_network
from support import LONGSHOT

RAY = pathlib.Path(os.environ["LONGSHOT_RAY"])
NODES = {host: HOSTS[host] for host in "AB"}
HEAD = f"{NODES['A']}:6379"
ENVIRONMENT = {**os.environ, "LONGSHOT_BIN": LONGSHOT, "RAY_USAGE_STATS_ENABLED": "0"}
ENVIRONMENT.pop("LONGSHOT_CLUSTER", None)


class Cluster:
    """A raylet tells others the address of its interface, whatever it is given, so each needs a namespace."""

    def __init__(self, network, folder):
        self.network, self.folder, self.nodes = network, folder, []
        # Paths of sockets below it may have 107 characters, which pytest's folders exceed.
        self.temporary = pathlib.Path(f"/tmp/ls_ray_{os.getpid()}")
        common = ["--num-cpus=2", "--disable-usage-stats", "--block"]
        self.start("A", "--head", f"--node-ip-address={NODES['A']}", "--port=6379", "--include-dashboard=false",
                   f"--temp-dir={self.temporary}", *common)
        wait_until(lambda: self.alive() == 1, 120, self.logs)
        self.start("B", f"--address={HEAD}", f"--node-ip-address={NODES['B']}", *common)
        wait_until(lambda: self.alive() == 2, 120, self.logs)

    def start(self, host, *words):
        log = (self.folder / f"ray.{host}.log").open("w")
        self.nodes.append(self.network.start(host, RAY / "ray", "start", *words, stdout=log, stderr=log,
                                             env=ENVIRONMENT, start_new_session=True))

    def logs(self):
        return "".join(text_of(file) for file in self.folder.glob("ray.*.log"))

    def alive(self):
        done = subprocess.run(["ip", "netns", "exec", self.network.name + "A", RAY / "ray", "status",
                               f"--address={HEAD}"], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        return len(re.findall(r"^ 1 node_", done.stdout, re.MULTILINE))

    def processes(self):
        """Those that the launcher has placed: {process id: command line}."""
        found = {}
        for host in NODES:
            found.update(command_lines(self.network.processes(host)))
        return {number: line for number, line in found.items()
                if line.startswith((LONGSHOT, "etcd ")) or "PR_SET_PDEATHSIG" in line}

    def close(self):
        for host in NODES:
            for number in self.network.processes(host):
                os.kill(number, signal.SIGKILL)
        for node in self.nodes:
            node.wait(30)
        subprocess.run(["rm", "-rf", self.temporary], check=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    network = make_network()
    try:
        ray = Cluster(network, tmp_path_factory.mktemp("ray"))
        yield ray
        ray.close()
    finally:
        network.close()


@pytest.fixture(scope="module")
def setting(cluster, tmp_path_factory):
    return train_alone(tmp_path_factory.mktemp("runs"))


class Launched(LaunchedRun):
    def __init__(self, cluster, setting, name, workers=2, trainers=1):
        super().__init__(setting, name)
        self.counts = ("--workers", str(workers), "--trainers", str(trainers))
        self.cluster, self.log = cluster, self.root / f"{name}.log"
        self.launch()

    def launch(self):
        words = [RAY / "python", DEPLOY / "ray/launch.py", "--address", HEAD, *self.counts, "--folder",
                 self.root / f"{self.name}.logs", "--worker-arguments", f"--weights-dir {self.root}/weights", self.file]
        with self.log.open("a") as log:
            self.process = self.cluster.network.start("A", *words, stdout=log, stderr=log, env=ENVIRONMENT)

    def child(self, role):
        return next((number for number, line in self.cluster.processes().items() if f" --name {role}-" in line), None)

    def wait_for_no_process(self):
        return wait_until(lambda: not self.cluster.processes(), 30, lambda: str(self.cluster.processes()))

    def finish(self, code=0):
        assert self.process.wait(180) == code, self.log.read_text()


def parent(number):
    return int(re.search(r"PPid:\s+(\d+)", pathlib.Path(f"/proc/{number}/status").read_text())[1])


def rank_of(number):
    return int(re.search(r"\0RANK=(\d+)\0", "\0" + pathlib.Path(f"/proc/{number}/environ").read_text())[1])


def test_actors_and_processes_that_die_are_replaced(cluster, setting):
    run = Launched(cluster, setting, "killed")
    run.wait_until_held()
    for kind in ("actor", "process"):
        child, before = run.child("worker-0"), run.joined()
        os.kill(parent(child) if kind == "actor" else child, signal.SIGKILL)
        began = time.time()
        seconds = wait_until(lambda: child not in cluster.processes(), 10)
        wait_until(lambda: run.joined() > before, 120, run.log.read_text)
        print(f"{kind} killed: its process gone after {seconds:.1f} s, a new one has joined after "
              f"{time.time() - began:.1f} s")
    run.gate.open()
    run.finish()
    print(f"no process {run.wait_for_no_process():.1f} s after the end")
    run.assert_same()


def test_several_trainers_start_again_together(cluster, setting):
    run = Launched(cluster, setting, "gang", workers=1, trainers=2)
    run.wait_until_held(1)
    trainers = [number for number, line in cluster.processes().items() if line.startswith(f"{LONGSHOT} trainer ")]
    assert len(trainers) == 2
    for index, kind in enumerate(("process", "actor")):
        lost = next(number for number, line in cluster.processes().items()
                    if line.startswith(f"{LONGSHOT} trainer ") and rank_of(number) == 1)
        os.kill(parent(lost) if kind == "actor" else lost, signal.SIGKILL)
        run.wait_until_joined(2 + index)
    run.gate.open()
    run.finish()
    run.wait_for_no_process()
    run.assert_same()


def test_a_launcher_that_is_killed_leaves_no_process(cluster, setting):
    run = Launched(cluster, setting, "orphans")
    run.wait_until_held()
    assert len(cluster.processes()) == 4  # etcd, the coordinator, two workers
    run.process.kill()  # `ip netns exec` has become the launcher
    run.process.wait(10)
    print(f"no process {run.wait_for_no_process():.1f} s after kill -9 of the launcher")
    run.launch()
    run.gate.open()
    run.finish()
    run.wait_for_no_process()
    run.assert_same()


def test_ctrl_c_saves_and_the_same_command_continues(cluster, setting):
    run = Launched(cluster, setting, "stopped")
    run.wait_until_held()
    run.process.send_signal(signal.SIGINT)
    run.finish(130)
    print(f"no process {run.wait_for_no_process():.1f} s after the launcher's end")
    run.launch()
    run.gate.open()
    run.finish()
    run.assert_same()


def test_the_exit_code_is_the_coordinators(cluster, setting):
    (setting[0] / "bad.toml").write_text("[model]\npath = 'nowhere'\n")
    done = subprocess.run(["ip", "netns", "exec", cluster.network.name + "A", RAY / "python",
                           DEPLOY / "ray/launch.py", "--address", HEAD, setting[0] / "bad.toml"], capture_output=True,
                          text=True, timeout=180, env=ENVIRONMENT)
    assert done.returncode == 2 and "nowhere" in done.stdout, done.stdout + done.stderr


def test_a_cluster_without_room_is_an_error(cluster, setting):
    done = subprocess.run(["ip", "netns", "exec", cluster.network.name + "A", RAY / "python",
                           DEPLOY / "ray/launch.py", "--address", HEAD, "--workers", "50", "--placement-seconds", "3",
                           setting[0] / "whole.toml"], capture_output=True, text=True, timeout=180, env=ENVIRONMENT)
    assert done.returncode == 1 and "no room" in done.stderr, done.stdout + done.stderr

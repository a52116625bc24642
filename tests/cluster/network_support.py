"""Three hosts, which are network namespaces on a bridge of the test's own, and runs on them. Nothing they send leaves the
machine."""
import os
import subprocess

from cluster_support import Gate, cluster_config, wait_for
from support import LONGSHOT, ROOT

HOSTS = {"A": "10.77.0.1", "B": "10.77.0.2", "C": "10.77.0.3"}


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class Network:
    """Names contain the process id, so that two tests do not meet."""

    def __init__(self):
        self.name = f"ls{os.getpid() % 100000}"
        self.hub = self.name + "x"
        run("ip", "netns", "add", self.hub)
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        for host, address in HOSTS.items():
            space = self.name + host
            run("ip", "netns", "add", space)
            run("ip", "link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", f"to{host}", "netns",
                self.hub)
            run("ip", "-n", self.hub, "link", "set", f"to{host}", "master", "br0", "up")
            run("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")

    def start(self, host, *words, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name + host, *map(str, words)], cwd=ROOT, **options)

    def start_etcd(self, folder):
        """A directory on host A."""
        client = f"http://{HOSTS['A']}:2379"
        return self.start("A", "etcd", "--data-dir", folder, "--listen-client-urls", client, "--advertise-client-urls",
                          client, "--unsafe-no-fsync", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def cut(self, host):
        run("ip", "-n", self.hub, "link", "set", f"to{host}", "down")

    def heal(self, host):
        run("ip", "-n", self.hub, "link", "set", f"to{host}", "up")

    def lose(self, host, percent):
        """Loses a share of the packets that reach a host."""
        for command in ("add table ip loss", "add chain ip loss input { type filter hook input priority 0 ; }",
                        f"add rule ip loss input numgen random mod 100 < {percent} drop"):
            run("ip", "netns", "exec", self.name + host, "nft", command)

    def processes(self, host):
        """Their ids."""
        found = subprocess.run(["ip", "netns", "pids", self.name + host], capture_output=True, text=True, timeout=10)
        return [int(word) for word in found.stdout.split()]

    def close(self):
        for host in [*HOSTS, "x"]:
            subprocess.run(["ip", "netns", "del", self.name + host], capture_output=True)


def make_network():
    """Namespaces need root; without it the test is an expected failure."""
    import pytest  # programs that are no tests use the rest of this file

    try:
        return Network()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.xfail(f"network namespaces cannot be made here, which needs root: {error}")


class Run:
    """The coordinator on host A, a worker each on B and C."""

    def __init__(self, network, setting, name, iterations, held_at=None):
        root, model, data = setting
        self.network, self.folder = network, root / name
        self.gate = Gate(self.folder, held_at) if held_at else None
        self.url = f"etcd://{HOSTS['A']}:2379/{name}"
        file = root / f"{name}.toml"
        file.write_text(cluster_config(self.folder, model, data, iterations).replace(
            "[cluster]\n", f"[cluster]\nurl = '{self.url}'\nlisten = '{HOSTS['A']}:0'\n"
                           f"weights_listen = '{HOSTS['A']}:0'\n"))
        self.log = (root / f"{name}.log").open("w+")
        self.train = network.start("A", LONGSHOT, "train", file, stdout=subprocess.DEVNULL, stderr=self.log)
        self.workers = {host: self.worker(root, host) for host in "BC"}

    def worker(self, root, host):
        return self.network.start(host, LONGSHOT, "worker", "--cluster", self.url, "--name", host, "--threads", 1,
                                  "--weights-dir", root / f"{host}.weights", "--listen", f"{HOSTS[host]}:0",
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def wait_for(self, condition):
        wait_for(condition, self.train, describe=self.text)

    def wait_for_event(self, worker, event, before=0):
        """Waits until the log has more than `before` lines about the event of a worker."""
        self.wait_for(lambda: self.events(worker, event) > before)

    def events(self, worker, event):
        return sum(f"worker {worker} at" in line and event in line for line in self.text().splitlines())

    def hold(self):
        """Waits until both workers have joined and the run is held."""
        for host in "BC":
            self.wait_for_event(host, "joins")
        self.gate.wait(self.train)

    def finish(self):
        assert self.train.wait(180) == 0, self.text()

    def close(self):
        for process in [self.train, *self.workers.values()]:
            if process.poll() is None:
                process.kill()
            process.wait()

"""Three hosts, which are network namespaces on a bridge of the test's own. Nothing they send leaves the machine."""
import os
import subprocess

import pytest

from support import ROOT

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
    try:
        return Network()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.xfail(f"network namespaces cannot be made here, which needs root: {error}")

"""Three hosts in network namespaces: one that is cut off, and lost packets."""
import subprocess
import time

import pytest

from cluster_support import Gate, assert_same_run, cluster_config, wait_for
from network_support import HOSTS, make_network
from resume_support import lines
from support import LONGSHOT, longshot, tiny_model

ITERATIONS = 40


@pytest.fixture(scope="module")
def network():
    made = make_network()
    yield made
    made.close()


@pytest.fixture(scope="module")
def setting(network, tmp_path_factory):
    root = tmp_path_factory.mktemp("network")
    model, data = tiny_model(root)
    file = root / "whole.toml"
    file.write_text(cluster_config(root / "whole", model, data, ITERATIONS))
    longshot("train", file)
    client = f"http://{HOSTS['A']}:2379"
    etcd = network.start("A", "etcd", "--data-dir", root / "etcd", "--listen-client-urls", client,
                         "--advertise-client-urls", client, "--unsafe-no-fsync",
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    yield root, model, data
    etcd.kill()
    etcd.wait()


class Run:
    """The coordinator on host A, a worker each on B and C."""

    def __init__(self, network, setting, name, held_at):
        root, model, data = setting
        self.network, self.folder = network, root / name
        self.gate = Gate(self.folder, held_at) if held_at else None
        self.url = f"etcd://{HOSTS['A']}:2379/{name}"
        file = root / f"{name}.toml"
        file.write_text(cluster_config(self.folder, model, data, ITERATIONS).replace(
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


@pytest.fixture
def begin(network, setting):
    runs = []

    def start(name, held_at=None):
        runs.append(Run(network, setting, name, held_at))
        return runs[-1]

    yield start
    for one in runs:
        one.close()


def test_a_host_that_is_cut_off_delays_the_run_only_and_returns_by_itself(network, setting, begin):
    one = begin("cut", held_at=2)
    one.hold()
    # C is the only worker: while it is cut off nothing can be generated.
    one.workers["B"].kill()
    one.wait_for_event("B", "has left")
    network.cut("C")
    cut = time.time()
    one.wait_for_event("C", "has left")
    noticed = time.time() - cut
    one.gate.open()
    time.sleep(0.5)
    assert lines(one.folder) <= 3  # the samples of the third iteration may have arrived before the cut
    network.heal("C")
    healed = time.time()
    one.wait_for(lambda: lines(one.folder) > 3)
    print(f"noticed after {noticed:.1f} s, worked again {time.time() - healed:.1f} s after healing")
    one.finish()
    assert_same_run(one.folder, setting[0] / "whole", ITERATIONS)


def test_a_cut_between_two_workers_moves_the_samples_of_one(network, setting, begin):
    one = begin("moved", held_at=2)
    one.hold()
    network.cut("B")
    one.gate.hold_at(6)
    one.gate.wait(one.train)  # C does it alone
    network.heal("B")
    one.gate.open()
    one.finish()
    assert_same_run(one.folder, setting[0] / "whole", ITERATIONS)


def test_lost_packets_change_nothing(network, setting, begin):
    for host in HOSTS:
        network.lose(host, 2)
    one = begin("lossy")
    one.finish()
    assert_same_run(one.folder, setting[0] / "whole", ITERATIONS)

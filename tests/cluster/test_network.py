"""Three hosts in network namespaces: one that is cut off, and lost packets."""
import time

import pytest

from cluster_support import assert_same_run, train_whole
from network_support import HOSTS, Run, make_network
from resume_support import lines

ITERATIONS = 40


@pytest.fixture(scope="module")
def network():
    made = make_network()
    yield made
    made.close()


@pytest.fixture(scope="module")
def setting(network, tmp_path_factory):
    root, model, data = train_whole(tmp_path_factory.mktemp("network"), ITERATIONS)
    etcd = network.start_etcd(root / "etcd")
    time.sleep(2)
    yield root, model, data
    etcd.kill()
    etcd.wait()


@pytest.fixture
def begin(network, setting):
    runs = []

    def start(name, held_at=None):
        runs.append(Run(network, setting, name, ITERATIONS, held_at))
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

"""The commands of docs/cluster.md for three hosts with certificates, in three network namespaces; and a name server that
never answers."""
import json
import subprocess
import time

import pytest

from cluster_support import assert_same_run, cluster_config, train_whole
from network_support import HOSTS, make_network
from support import LONGSHOT, longshot, tiny_model

ITERATIONS = 4


@pytest.fixture(scope="module")
def network():
    made = make_network()
    yield made
    made.close()


class Processes:
    """Context manager that ends what it started."""

    def __init__(self, network):
        self.network, self.all = network, []

    def start(self, host, *words, **options):
        self.all.append(self.network.start(host, *words, text=True, **options))
        return self.all[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.all:
            if process.poll() is None:
                process.kill()
            process.communicate()


def findings(processes, host, *words):
    """The exit code of the doctor on a host, and what it found."""
    doctor = processes.start(host, LONGSHOT, "doctor", "--json", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = doctor.communicate(timeout=60)
    assert out, errors
    return doctor.returncode, {finding["name"]: finding for finding in json.loads(out)["findings"]}


def test_three_hosts_with_certificates(network, tmp_path):
    _, model, data = train_whole(tmp_path, ITERATIONS)
    file = tmp_path / "run.toml"
    file.write_text(cluster_config(tmp_path / "run", model, data, ITERATIONS))
    certs, a = tmp_path / "certs", HOSTS["A"]
    longshot("certificates", "--out", certs, *[word for host in HOSTS.values() for word in ("--host", host)])
    url = f"etcds://{a}:2379/first"
    with Processes(network) as processes:
        tls = certs / a
        processes.start("A", "etcd", "--data-dir", tmp_path / "etcd", "--listen-client-urls", f"https://{a}:2379",
                        "--advertise-client-urls", f"https://{a}:2379", "--client-cert-auth", "--trusted-ca-file",
                        tls / "ca.crt", "--cert-file", tls / "tls.crt", "--key-file", tls / "tls.key",
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 60
        while findings(processes, "A", "--cluster", url, "--tls-dir", tls)[1]["etcd"]["status"] != "ok":
            assert time.time() < deadline
        train = processes.start("A", LONGSHOT, "train", file, "--cluster", url, f"cluster.tls_dir={tls}",
                                f"cluster.listen={a}:7000", f"cluster.weights_listen={a}:7001",
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        own = ("--cluster", url, "--tls-dir", certs / HOSTS["B"])
        while "weights" not in (found := findings(processes, "B", *own)[1]):
            assert time.time() < deadline and train.poll() is None
        code, found = findings(processes, "B", *own)
        assert code == 0 and all(finding["status"] == "ok" for finding in found.values()), found
        workers = [processes.start(host, LONGSHOT, "worker", "--cluster", url, "--tls-dir", certs / HOSTS[host],
                                   "--listen", f"{HOSTS[host]}:0", "--threads", 1, "--weights-dir", tmp_path / host,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for host in "BC"]
        _, errors = train.communicate(timeout=180)
        assert train.returncode == 0, errors
        for worker in workers:
            out, _ = worker.communicate(timeout=30)
            assert worker.returncode == 0, out
    assert_same_run(tmp_path / "run", tmp_path / "whole", ITERATIONS)


def test_trainers_on_a_network_are_refused_with_certificates_unless_it_is_trusted(network, tmp_path):
    """No etcd runs: trainers that are let in look for it when they have found one another."""
    model, data = tiny_model(tmp_path, steps=1)
    file, certs = tmp_path / "run.toml", tmp_path / "certs"
    file.write_text(cluster_config(tmp_path / "run", model, data, 1).replace("[trainer]\n", "[trainer]\nlanes = 2\n"))
    longshot("certificates", "--out", certs, "--host", HOSTS["A"], "--host", HOSTS["B"])
    keys = ("--cluster", f"etcd://{HOSTS['C']}:2379/clear", f"cluster.tls_dir={certs / HOSTS['A']}")

    def outcome(address, hosts, *overrides):
        with Processes(network) as processes:
            started = [processes.start(host, "env", f"RANK={rank}", "WORLD_SIZE=2", f"MASTER_ADDR={address}",
                                       "MASTER_PORT=29500", LONGSHOT, "trainer", file, *keys, *overrides,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                       for rank, host in enumerate(hosts)]
            errors = [process.communicate(timeout=90)[1] for process in started]
            return [process.returncode for process in started], errors

    codes, errors = outcome(HOSTS["A"], "AB")
    assert codes == [2, 2] and all("cluster.gang_in_clear" in text for text in errors), errors
    for address, hosts, overrides in ((HOSTS["A"], "AB", ("cluster.gang_in_clear=true",)), ("127.0.0.1", "AA", ())):
        codes, errors = outcome(address, hosts, *overrides)
        assert "etcd" in errors[0] and not any("gang_in_clear" in text for text in errors), errors


def test_addresses_on_loopback_stop_workers_of_other_hosts(network, tmp_path):
    """The coordinator has forgotten cluster.listen and cluster.weights_listen."""
    model, data = tiny_model(tmp_path, steps=1)
    file, a = tmp_path / "run.toml", HOSTS["A"]
    file.write_text(cluster_config(tmp_path / "run", model, data, ITERATIONS))
    url = f"etcd://{a}:2379/second"
    with Processes(network) as processes:
        processes.start("A", "etcd", "--data-dir", tmp_path / "etcd", "--listen-client-urls", f"http://{a}:2379",
                        "--advertise-client-urls", f"http://{a}:2379", stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
        deadline = time.time() + 60
        while findings(processes, "A", "--cluster", url)[1]["etcd"]["status"] != "ok":
            assert time.time() < deadline
        train = processes.start("A", LONGSHOT, "train", file, "--cluster", url, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        while "weights" not in (found := findings(processes, "B", "--cluster", url)[1]):
            assert time.time() < deadline and train.poll() is None
        code, found = findings(processes, "B", "--cluster", url)
        assert code == 1 and found["weights"]["status"] == found["jobs"]["status"] == "fail"
        assert "set cluster.weights_listen" in found["weights"]["advice"]
        assert "set cluster.listen" in found["jobs"]["advice"]


def test_a_name_server_that_never_answers_does_not_hold_a_command(network, tmp_path):
    """The system's look-up would take 5 × 30 s; in a namespace of mounts it has a resolv.conf of its own."""
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    script = f"mount --bind {conf} /etc/resolv.conf && exec {LONGSHOT} top --cluster etcd://slow.example:2379/run"
    silent = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); "
              "print('bound', flush=True); s.recv(9); print('asked', flush=True); input()")
    with Processes(network) as processes:
        server = processes.start("C", "python3", "-c", silent, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdout.readline() == "bound\n"
        top = processes.start("C", "unshare", "--mount", "sh", "-c", script, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert server.stdout.readline() == "asked\n"
        _, errors = top.communicate(timeout=90)
        assert top.returncode == 1 and "slow.example" in errors, errors
        assert "not found in time" in errors, errors

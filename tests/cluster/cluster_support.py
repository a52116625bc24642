"""Shared by the tests of runs on many machines: an etcd of the test's own, and worker processes. Everything listens on
loopback, and every process ends with its test."""
import json
import pathlib
import signal
import socket
import subprocess
import time
import urllib.request

from resume_support import TIMED, metrics, train_config
from support import LONGSHOT, ROOT

# These depend on which engine generates what, not on the samples.
OF_ENGINES = ("rollout/acceptance_rate", "rollout/accepted_tokens", "rollout/cached_tokens", "rollout/decode_steps",
              "rollout/draft_tokens", "rollout/kv_", "rollout/mean_batch", "rollout/preemptions",
              "rollout/prefill_tokens", "rollout/tokens_per_forward", "rollout/workers", "rollout/reissued",
              "rollout/repeated_tokens")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Etcd:
    """A store of one member, in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.peer = folder, free_port(), free_port()
        self.url = f"etcd://127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer}"
        self.process = subprocess.Popen(
            ["etcd", "--data-dir", str(self.folder), "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
             "--unsafe-no-fsync"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.time() + 30
        while time.time() < deadline:
            try:
                with urllib.request.urlopen(client + "/health", timeout=1) as answer:
                    if json.loads(answer.read()).get("health") == "true":
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("etcd does not start")

    def stop(self, number=signal.SIGKILL):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(30)


class Worker:
    def __init__(self, url, name, folder, *arguments):
        self.name, self.log = name, (pathlib.Path(folder) / f"{name}.log").open("a+")
        self.process = subprocess.Popen(
            [LONGSHOT, "worker", "--cluster", url, "--name", name, "--threads", "1", "--weights-dir",
             str(folder / f"{name}.weights"), *map(str, arguments)],
            stdout=self.log, stderr=subprocess.STDOUT, cwd=ROOT)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def wait(self, seconds=30):
        """Returns the exit code and what it wrote."""
        code = self.process.wait(seconds)
        return code, self.text()

    def text(self):
        self.log.seek(0)
        return self.log.read()


class Workers:
    """Context manager: some workers of a run, which are killed at its end."""

    def __init__(self, url, folder, count, *arguments):
        self.url, self.folder, self.arguments, self.started, self.all = url, folder, arguments, 0, []
        for _ in range(count):
            self.add()

    def add(self):
        worker = Worker(self.url, f"w{self.started}", self.folder, *self.arguments)
        self.started += 1
        self.all.append(worker)
        return worker

    def replace(self, index):
        """Kills a worker and starts another one."""
        self.all.pop(index).kill()
        return self.add()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.all:
            worker.kill()


def cluster_config(run, model, data, iterations, segment=12):
    """A run in which every part of the state matters: samples are cut, and prompts chosen by their success."""
    return (train_config(run, model, data, iterations).replace("token_budget = 300", f"segment_tokens = {segment}")
            + f"[cluster]\nsilence_seconds = 1\nweights_dir = '{run}.weights'\n")


def comparable(run):
    return [{name: value for name, value in row.items() if not name.startswith(TIMED + OF_ENGINES)}
            for row in metrics(run)]


def final_weights(run, iterations):
    return (run / f"global_step_{iterations}/huggingface/model.safetensors").read_bytes()


def assert_same_run(run, whole, iterations):
    expected, seen = comparable(whole), comparable(run)
    assert [row["step"] for row in seen] == [row["step"] for row in expected]
    for a, b in zip(seen, expected):
        assert a.pop("rollout/differing_tokens", 0) == 0
        b.pop("rollout/differing_tokens", 0)
        assert a == b
    assert final_weights(run, iterations) == final_weights(whole, iterations)

"""Shared by the tests of runs on many machines: an etcd of the test's own, and worker processes. Everything listens on
loopback, and every process ends with its test."""
import contextlib
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import time
import urllib.request

from resume_support import TIMED, kill_until_done, lines, metrics, start, train_config
from support import LONGSHOT, ROOT, longshot, tiny_model

# Kills of each kind in a test; the bar is 20, which takes minutes.
FAULTS = int(os.environ.get("LONGSHOT_FAULTS", 4))

# These depend on which engine generates what, not on the samples.
OF_ENGINES = ("rollout/acceptance_rate", "rollout/accepted_tokens", "rollout/cached_tokens", "rollout/decode_steps",
              "rollout/draft_tokens", "rollout/kv_", "rollout/mean_batch", "rollout/preemptions",
              "rollout/prefill_tokens", "rollout/tokens_per_forward", "rollout/workers", "rollout/reissued",
              "rollout/repeated_tokens", "rollout/host_tokens/", "rollout/loads", "rollout/load_seconds_max")


def free_port():
    """A port below those that the system gives to outgoing connections, one of which could take it before the caller does."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", 20000 + secrets.randbelow(12000)))
            return s.getsockname()[1]


class Etcd:
    """A store of one member, or a member of a store, in a folder of its own."""

    def __init__(self, folder, alone=True):
        self.folder, self.port, self.peer = folder, free_port(), free_port()
        self.client = f"http://127.0.0.1:{self.port}"
        self.url = f"etcd://127.0.0.1:{self.port}"
        self.process = None
        if alone:
            self.start()

    def start(self, members=None):
        """Starts the member; after a stop it continues with its data."""
        members = members or [self]
        peers = ",".join(f"{m.folder.name}=http://127.0.0.1:{m.peer}" for m in members)
        own = f"http://127.0.0.1:{self.peer}"
        self.process = subprocess.Popen(
            ["etcd", "--name", self.folder.name, "--data-dir", str(self.folder), "--listen-client-urls", self.client,
             "--advertise-client-urls", self.client, "--listen-peer-urls", own, "--initial-advertise-peer-urls", own,
             "--initial-cluster", peers, "--auto-compaction-mode", "revision", "--auto-compaction-retention", "1000",
             "--snapshot-count", "5000", "--unsafe-no-fsync"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if len(members) == 1:
            self.wait()

    def wait(self):
        """Returns when the store answers."""
        deadline = time.time() + 30
        while time.time() < deadline:
            try:
                with urllib.request.urlopen(self.client + "/health", timeout=1) as answer:
                    if json.loads(answer.read()).get("health") == "true":
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("etcd does not start")

    def leads(self):
        """Whether this member is the leader of the store."""
        request = urllib.request.Request(self.client + "/v3/maintenance/status", data=b"{}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            status = json.loads(answer.read())
        return status["leader"] == status["header"]["member_id"]

    def stop(self, number=signal.SIGKILL):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(30)


class EtcdMembers:
    """A store of three members."""

    def __init__(self, root):
        self.all = [Etcd(root / f"member{number}", alone=False) for number in range(3)]
        for member in self.all:
            member.start(self.all)
        for member in self.all:
            member.wait()
        self.url = "etcd://" + ",".join(f"127.0.0.1:{member.port}" for member in self.all)

    def leader(self):
        return next(member for member in self.all if member.leads())

    def stop(self):
        for member in self.all:
            member.stop()


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

    def assert_ended_well(self):
        for worker in self.all:
            code, text = worker.wait()
            assert code == 0, text

    def replace(self, index):
        """Kills a worker and starts another one."""
        self.all.pop(index).kill()
        return self.add()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.all:
            worker.kill()


class Gang:
    """The processes of a gang, as a launcher starts them."""

    def __init__(self, size, file, folder, *arguments):
        port = free_port()
        folder.mkdir(exist_ok=True)
        self.logs = [(folder / f"gang{rank}.log").open("w+") for rank in range(size)]
        self.all = [subprocess.Popen([LONGSHOT, "trainer", str(file), *arguments], stdout=subprocess.DEVNULL,
                                     stderr=self.logs[rank], cwd=ROOT,
                                     env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(size),
                                          "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
                    for rank in range(size)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.all:
            if process.poll() is None:
                process.kill()
            process.wait(30)

    def wait(self, seconds=180):
        """The exit codes."""
        deadline = time.time() + seconds
        return [process.wait(max(0.1, deadline - time.time())) for process in self.all]

    def has_lost_one(self):
        return any(process.poll() is not None for process in self.all)

    def end_others(self, number=signal.SIGTERM):
        """As launchers do when one has ended."""
        for process in self.all:
            if process.poll() is None:
                process.send_signal(number)

    def text_of(self, rank):
        self.logs[rank].seek(0)
        return self.logs[rank].read()

    def text(self):
        return "".join(f"--- trainer {rank}\n{self.text_of(rank)}" for rank in range(len(self.all)))


def write_run(setting, name, iterations, text=""):
    """The file, the run and the url of a run on many processes. `text`: further lines of [cluster]."""
    root, model, data, etcd = setting
    file, url = root / f"{name}.toml", f"{etcd.url}/{name}"
    config = cluster_config(root / name, model, data, iterations)
    file.write_text(config.replace("[cluster]\n", f"[cluster]\nurl = '{url}'\n{text}"))
    return file, root / name, url


def finish(process, seconds=180):
    """Waits for a coordinator to end well; returns what it logged."""
    _, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    return errors


def train_whole(root, iterations):
    """Trains the run `whole` on one process; returns (root, model directory, data directory)."""
    model, data = tiny_model(root)
    file = root / "whole.toml"
    file.write_text(cluster_config(root / "whole", model, data, iterations))
    longshot("train", file)
    return root, model, data


@contextlib.contextmanager
def whole_run_and_etcd(root, iterations):
    """The setting of most tests: (root, model directory, data directory, etcd)."""
    made = train_whole(root, iterations)
    etcd = Etcd(root / "etcd")
    try:
        yield *made, etcd
    finally:
        etcd.stop()


@contextlib.contextmanager
def run_on_one_worker(root, prepare):
    """The same, but one worker generates the samples of `whole`. prepare(setting, name) writes its configuration."""
    etcd = Etcd(root / "etcd")
    made = root, *tiny_model(root), etcd
    try:
        train_on_one_worker(*prepare(made, "whole"))
        yield made
    finally:
        etcd.stop()


def train_on_one_worker(file, run, url):
    with Workers(url, run.parent, 1):
        finish(start(file))
    return run


def kill_workers(process, run, workers, rng):
    """Kills and replaces workers at random moments until the run has ended. Returns the number of kills."""
    kills = 0
    while process.poll() is None:
        time.sleep(rng.uniform(0.05, 0.4))
        if process.poll() is None and lines(run) > 0:
            workers.replace(rng.randrange(len(workers.all)))
            kills += 1
    finish(process)
    return kills


def kill_workers_of_runs(prepare, whole, iterations, rng):
    """Kills workers until FAULTS of them were killed, in as many runs as that takes. Every run must equal `whole`.
    prepare(name) writes a configuration and returns its file, the run and its url."""
    kills = runs = 0
    while kills < FAULTS:
        assert runs < 60
        file, run, url = prepare(f"killed{runs}")
        with Workers(url, whole.parent, 3) as workers:
            kills += kill_workers(start(file), run, workers, rng)
        assert_same_run(run, whole, iterations)
        runs += 1


def kill_coordinators(prepare, whole, iterations, rng):
    """The same for coordinators, each of which is started again until its run has ended."""
    kills = runs = 0
    while kills < FAULTS:
        assert runs < 60
        file, run, url = prepare(f"led{runs}")
        with Workers(url, whole.parent, 2):
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
        assert_same_run(run, whole, iterations)
        runs += 1


# A reward that changes no score. It waits while a run has as many iterations as its gate says.
GATE = """
import os, time

def iterations():
    try:
        with open(RUN + "/metrics.jsonl") as file:
            return sum(line.endswith("\\n") for line in file)
    except FileNotFoundError:
        return 0

def is_closed():
    try:
        with open(RUN + ".gate") as file:
            return iterations() >= int(file.read())
    except FileNotFoundError:
        return False

def compute_score(data_source, solution_str, ground_truth, extra_info):
    while is_closed() and os.getppid() != 1:  # its program was killed
        time.sleep(0.01)
    return 0.0
"""


def cluster_config(run, model, data, iterations, segment=12):
    """A run in which every part of the state matters: samples are cut, and prompts chosen by their success. A Gate can
    hold it at an iteration."""
    return (train_config(run, model, data, iterations).replace("token_budget = 300", f"segment_tokens = {segment}")
            .replace("[reward]\n", Gate.reward_of(run))
            + f"[cluster]\nsilence_seconds = 1\nweights_dir = '{run}.weights'\n")


class Gate:
    """Holds a run, so that a test does not depend on the speed of the machine."""

    def __init__(self, run, iteration):
        self.run, self.file = run, run.with_suffix(".gate")
        self.hold_at(iteration)

    @staticmethod
    def reward_of(run):
        """The section [reward] of a run that a gate can hold."""
        gate = run.with_suffix(".gate.py")
        gate.write_text(f"RUN = {str(run)!r}\n{GATE}")
        function = f"{{ type = 'python', path = '{gate}', weight = 0.0, decides_correct = false }}"
        return f"[reward]\ntimeout = 300\nfunctions = ['auto', {function}]\n"

    def reward(self):
        return self.reward_of(self.run)

    def hold_at(self, iteration):
        """The run will wait when its metrics have this many rows, of which the evaluation before training is the first,
        before it judges the next samples."""
        new = self.file.with_suffix(".gate.new")
        new.write_text(str(iteration))
        new.replace(self.file)
        self.iteration = iteration

    def wait(self, process, seconds=60):
        """Returns when the run is held."""
        wait_for(lambda: lines(self.run) >= self.iteration, process, seconds)
        assert lines(self.run) == self.iteration

    def open(self):
        self.file.unlink()

    def interrupt(self, process):
        """Ends the held run as Ctrl-C does."""
        self.wait(process)
        process.send_signal(signal.SIGINT)
        self.open()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130 and "continues from there" in errors, errors


def wait_for(condition, process, seconds=60, describe=lambda: ""):
    """Waits while `process` runs. A process that ended or that took too long is killed, and what it wrote is shown."""
    deadline = time.time() + seconds
    while not condition():
        if time.time() >= deadline or process.poll() is not None:
            code = process.poll()
            process.kill()
            raise AssertionError(f"waited; exit code {code}\n{process.communicate(timeout=30)}\n{describe()}")
        time.sleep(0.01)


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

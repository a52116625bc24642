"""Shared by the rows of tests/cluster/faults: runs that are disturbed, and how long each fault keeps them."""
import contextlib
import pathlib
import random
import signal
import subprocess
import threading
import time

from cluster_support import Etcd, Gang, assert_same_run, cluster_config, comparable, final_weights, write_run
from resume_support import lines
from support import LONGSHOT, ROOT, longshot, tiny_model

ITERATIONS = 30
LIMIT = 30  # seconds that a fault, or its repair, may keep a run from its next iteration, or from an end with a reason
HANG = 90  # seconds after which a run that does nothing is given up
LANES = 4


class Watch:
    """Notes how many seconds after each fault the next line of a run's metrics comes."""

    def __init__(self, run):
        self.run, self.log = run, run / "metrics.jsonl"
        self.seconds, self.open = [], []
        self.size = self.least = 0
        self.moved = time.monotonic()
        self.lock, self.ended = threading.Lock(), threading.Event()
        threading.Thread(target=self.look_until_ended, daemon=True).start()

    def look_until_ended(self):
        while not self.ended.wait(0.01):
            size = self.log.stat().st_size if self.log.exists() else 0
            if size != self.size:
                self.size = size
                self.count(lines(self.run))

    def count(self, now):
        """A run that is started again first removes the lines behind its checkpoint."""
        if now > self.least:
            self.progressed()
        self.least = now

    def progressed(self):
        with self.lock:
            self.moved = time.monotonic()
            self.seconds += [self.moved - begun for begun in self.open]
            self.open = []

    def faulted(self, anew=False):
        """`anew`: the run is begun again, so the time after earlier faults is not that of the program."""
        with self.lock:
            self.moved = time.monotonic()
            self.open = [] if anew else self.open
            self.open.append(self.moved)

    def close(self):
        """Faults without progress count until now."""
        self.ended.set()
        with self.lock:
            self.seconds += [time.monotonic() - begun for begun in self.open]

    def still(self):
        """Seconds since the last progress or fault."""
        return time.monotonic() - self.moved


class Lab:
    """What all rows share: a directory, models, and undisturbed runs to compare with."""

    def __init__(self, root):
        self.root = root
        self.model, self.data = tiny_model(root)
        self.etcd = Etcd(root / "etcd")
        self.wholes, self.large_model, self.lock = {}, None, threading.Lock()

    def large(self):
        """A model whose weights of about 20 MiB take a while to fetch."""
        if self.large_model is None:
            sizes = ("hidden_size=256", "num_layers=6", "num_heads=4", "intermediate_size=1024")
            longshot("sft", self.root / "sft.toml", *(f"model.{size}" for size in sizes), "trainer.total_steps=10",
                     "sft.batch_tokens=512", "optim.lr=2e-3", f"trainer.default_local_dir={self.root}/large")
            self.large_model = self.root / "large/huggingface"
        return self.large_model

    def whole(self, model, lanes, iterations):
        """The folder of the undisturbed run, and the seconds that it took."""
        with self.lock:
            key = f"whole{len(self.wholes)}"
            if (model, lanes, iterations) not in self.wholes:
                file, run = self.root / f"{key}.toml", self.root / key
                file.write_text(with_lanes(cluster_config(run, model, self.data, iterations), lanes))
                began = time.monotonic()
                longshot("train", file)
                self.wholes[model, lanes, iterations] = run, time.monotonic() - began
            return self.wholes[model, lanes, iterations]


def with_lanes(text, lanes):
    if lanes == 1:
        return text
    return text.replace("[trainer]\n", f"[trainer]\nlanes = {lanes}\n").replace("threads = 2", "threads = 1")


class Course:
    """One run and its faults, in a folder of its own. `before`: the faults of the row's earlier runs; `wanted`: how many more
    are wanted."""

    def __init__(self, lab, row, number, seed, before, wanted):
        self.lab, self.row, self.number, self.before, self.wanted = lab, row, number, before, wanted
        self.rng = random.Random(f"{seed} {row.name} {number}")
        self.folder = lab.root / row.name / str(number)
        self.folder.mkdir(parents=True)
        self.model = lab.large() if row.large else lab.model
        self.whole, self.seconds = lab.whole(self.model, row.lanes, row.iterations)
        self.faults, self.gangs, self.weights_alone, self.notes = 0, 0, False, []
        self.stack = contextlib.ExitStack()  # what must last until the run has been compared
        self.file = self.run = self.url = self.watch = None

    def write(self, etcd=None, folder=None, name=None):
        """Writes the configuration of a run in the cluster and watches it."""
        setting = (folder or self.folder, self.model, self.lab.data, etcd or self.lab.etcd)
        self.file, self.run, self.url = write_run(setting, name or f"{self.row.name}{self.number}", self.row.iterations)
        self.follow(self.run)

    def write_alone(self):
        """The configuration of a run whose trainers generate."""
        self.file, self.run = self.folder / "run.toml", self.folder / "run"
        text = cluster_config(self.run, self.model, self.lab.data, self.row.iterations)
        self.file.write_text(with_lanes(text, self.row.lanes))
        self.follow(self.run)

    def follow(self, run):
        earlier, self.run, self.watch = self.watch, run, Watch(run)
        if earlier is not None:
            earlier.ended.set()
            self.watch.seconds = earlier.seconds

    def gang(self, size):
        self.gangs += 1
        return Gang(size, self.file, self.folder / f"gang{self.gangs}")

    def fault(self, lasts=False, anew=False):
        """Counts a fault. If it lasts, time counts from its repair."""
        self.faults += 1
        if not lasts:
            self.watch.faulted(anew)

    def repaired(self, anew=False):
        self.watch.faulted(anew)

    def came_too_late(self):
        """The last fault has met a run that had ended."""
        self.faults -= 1
        self.watch.open.clear()

    def assert_moves(self):
        assert self.watch.still() < HANG, f"nothing has happened for {HANG} s"

    def runs_for(self, process, seconds):
        """Waits; returns whether the process still runs."""
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            self.assert_moves()
            time.sleep(0.005)
        return process.poll() is None

    def next(self, process, least, most):
        """Waits for a random moment of the run; returns whether another fault is wanted and possible."""
        if self.faults >= self.wanted:
            return False
        return self.runs_for(process, self.rng.uniform(least, most))

    def settle(self, process, most=0):
        """Waits until at most so many faults are without progress."""
        while len(self.watch.open) > most and self.runs_for(process, 0.01):
            pass

    def begin(self, process, condition=lambda: True):
        """Waits for the first line of the metrics."""
        while self.runs_for(process, 0.01) and not (lines(self.run) > 0 and condition()):
            pass

    def wait_for_end(self, process):
        """Returns the exit code; the end counts as progress."""
        while self.runs_for(process, 1):
            pass
        self.watch.progressed()
        return process.poll()

    def finish(self, lead):
        code = self.wait_for_end(lead)
        assert code == 0, f"exit code {code}\n{lead.text()}"

    def is_same(self):
        """Whether weights and metrics are those of the undisturbed run."""
        if self.weights_alone:
            return final_weights(self.run, self.row.iterations) == final_weights(self.whole, self.row.iterations)
        try:
            assert_same_run(self.run, self.whole, self.row.iterations)
        except AssertionError:
            return False
        return True

    def difference(self):
        """The first metrics that differ from those of the undisturbed run."""
        seen, expected = comparable(self.run), comparable(self.whole)
        for a, b in zip(seen, expected):
            names = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
            if names:
                return f"step {b['step']}: {', '.join(f'{name} {a.get(name)}, not {b.get(name)}' for name in names[:5])}"
        return f"{len(seen)} lines of metrics, not {len(expected)}" if len(seen) != len(expected) else "the final weights"

    def processes_left(self, seconds=5):
        """Ids of processes of this run. Those that a killed process has left may need a moment to notice it."""
        deadline = time.monotonic() + seconds
        while True:
            found = subprocess.run(["pgrep", "-f", f"{self.folder}/"], capture_output=True, text=True).stdout.split()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)


class Coordinator:
    """longshot train, which can be killed and started again. Each start has a log of its own."""

    def __init__(self, course, file=None):
        self.file, self.folder, self.logs = file or course.file, course.folder, []
        self.start()

    def start(self):
        path = pathlib.Path(self.folder, f"{self.file.stem}.{len(self.logs)}.log")
        self.logs.append(path)
        with path.open("w") as log:
            self.process = subprocess.Popen([LONGSHOT, "train", str(self.file)], stdout=subprocess.DEVNULL, stderr=log,
                                            cwd=ROOT)

    def poll(self):
        return self.process.poll()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """Returns whether it was killed, and had not ended before."""
        self.process.kill()
        return self.process.wait(30) == -signal.SIGKILL

    def text(self):
        """What the last start has written."""
        return self.logs[-1].read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

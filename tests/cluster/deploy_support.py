"""Shared by the tests of deploy/: what a launched run does, and what is left of it."""
import pathlib
import re
import time

from cluster_support import Gate, assert_same_run, cluster_config
from resume_support import lines
from support import ROOT, longshot, tiny_model

DEPLOY = ROOT / "deploy"
ITERATIONS, HELD_AT = 12, 6


def config_of(run, model, data):
    """Two lanes, so that one or two trainers give the same bits."""
    return cluster_config(run, model, data, ITERATIONS).replace("[trainer]\n", "[trainer]\nlanes = 2\n")


def wait_until(condition, seconds=60, what=lambda: ""):
    """Returns the seconds that it took."""
    began = time.time()
    while not condition():
        assert time.time() - began < seconds, what()
        time.sleep(0.05)
    return time.time() - began


def command_lines(processes):
    """{process id: command line} of those that run and are not zombies."""
    found = {}
    for number in processes:
        try:
            line = pathlib.Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line:
            found[number] = line
    return found


def text_of(path):
    return path.read_text() if path.exists() else ""


class LaunchedRun:
    """A run that a launcher starts, held in the middle. `log` is the file with the coordinator's log."""

    def __init__(self, setting, name):
        self.name, (self.root, model, data) = name, setting
        self.run, self.file = self.root / name, self.root / f"{name}.toml"
        self.file.write_text(config_of(self.run, model, data))
        self.gate = Gate(self.run, HELD_AT)
        self.log = None

    def everything(self):
        """All that the run has logged, for the message of a test that fails."""
        return text_of(self.log)

    def joined(self):
        """How often a worker has joined."""
        return len(re.findall(r"worker \S+ at \S+ joins", text_of(self.log)))

    def wait_until_held(self, workers=2):
        wait_until(lambda: lines(self.run) >= HELD_AT and self.joined() >= workers, 120, self.everything)

    def wait_until_joined(self, times):
        wait_until(lambda: self.joined() >= times, what=self.everything)

    def wait_until_trained_again(self):
        """Until further trainers have repeated the last iteration before the gate, after the loss of one."""
        wait_until(lambda: self.everything().count(f"iteration {HELD_AT - 1}: trained in") >= 2, 120, self.everything)

    def assert_saved(self):
        """That the run was saved at the gate, not only by its last regular checkpoint."""
        assert (self.run / f"global_step_{HELD_AT - 1}").is_dir(), self.everything()

    def assert_same(self):
        assert_same_run(self.run, self.root / "whole", ITERATIONS)


def train_alone(root):
    """Makes model and data, and the run in one process that the others are compared with. Returns (root, model, data)."""
    model, data = tiny_model(root, steps=150)
    (root / "whole.toml").write_text(config_of(root / "whole", model, data))
    longshot("train", root / "whole.toml")
    return root, model, data

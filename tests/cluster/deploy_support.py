"""Shared by the tests of deploy/: a run that can be held at a point, and what is left of one."""
import pathlib
import time

from cluster_support import cluster_config
from support import ROOT

DEPLOY = ROOT / "deploy"


class Gate:
    """A reward that adds nothing to the scores and stops a run in the middle: from the `after`-th sample on it waits
    until open(). Held runs make a test independent of how fast the machine is."""

    def __init__(self, folder, after=150):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        (self.folder / "gate.py").write_text(f"""
import os, time

def compute_score(solution_str):
    with open({str(self.folder / "count")!r}, "ab") as file:
        file.write(b".")
        count = file.tell()
    while count >= {after} and not os.path.exists({str(self.folder / "open")!r}):
        time.sleep(0.02)
    return 0.0
""")

    def config(self, run, model, data, iterations):
        reward = f"""[reward]
functions = ["auto", {{ type = "python", path = "{self.folder}/gate.py", decides_correct = false }}]
timeout = 600
"""
        return cluster_config(run, model, data, iterations).replace("[reward]\n", reward)

    def holds(self, after=150):
        count = self.folder / "count"
        return count.exists() and count.stat().st_size >= after

    def open(self):
        (self.folder / "open").touch()


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

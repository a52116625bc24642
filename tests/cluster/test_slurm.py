"""deploy/slurm on a Slurm of three nodes: the bits of one process, whatever happens to its jobs, and no process left."""
import os
import re
import signal
import stat

import pytest

from deploy_support import DEPLOY, LaunchedRun, train_alone, wait_until
from network_support import make_network
from slurm_support import Slurm, require_slurm
from support import LONGSHOT


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    require_slurm()
    network = make_network()
    try:
        cluster = Slurm(network, tmp_path_factory.mktemp("slurm"))
        yield cluster
        cluster.close()
    finally:
        network.close()


@pytest.fixture(scope="module")
def setting(slurm, tmp_path_factory):
    return train_alone(tmp_path_factory.mktemp("runs"))


class Launched(LaunchedRun):
    """A run that deploy/slurm/launch has started."""

    def __init__(self, slurm, setting, name, workers, trainers=1):
        super().__init__(setting, name)
        self.trainers = trainers
        self.slurm, self.folder = slurm, self.root / f"{name}.slurm"
        self.log = self.folder / "coordinator.log"
        self.launch(workers)

    def launch(self, workers):
        done = self.command("--workers", workers, "--trainers", self.trainers, f"{self.name}.toml")
        assert done.returncode == 0, done.stderr
        self.coordinator, self.array = re.findall(r"job (\d+)", done.stdout)[:2]

    def command(self, *words):
        """Workers keep their weights below the test's folder, where no other test is."""
        return self.slurm.call(DEPLOY / "slurm/launch", "--worker-arguments",
                               f"--threads 1 --weights-dir {self.root}/weights", *words, cwd=self.root)

    def everything(self):
        return "".join(f"--- {file}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log")))

    def wait_for_end(self):
        """Until the queue is empty and no process is left on any node."""
        wait_until(lambda: not self.slurm.jobs(), 120, self.everything)
        wait_until(lambda: not self.slurm.processes(), 30, lambda: str(self.slurm.processes()))


def element(slurm, array, index):
    """The job id of an element of an array."""
    return slurm.call("squeue", "--noheader", f"--jobs={array}_{index}", "--format=%A", code=0).stdout.strip()


def test_workers_that_leave_and_join_change_nothing(slurm, setting):
    run = Launched(slurm, setting, "elastic", 2)
    run.wait_until_held()
    assert stat.S_IMODE((run.folder / "token").stat().st_mode) == 0o600
    crashed = next(number for number, line in slurm.processes().items()
                   if " worker " in line and f"-{element(slurm, run.array, 2)} " in line)
    os.kill(crashed, signal.SIGKILL)  # its job starts it again
    slurm.call("scancel", f"{run.array}_1", code=0)
    assert run.command("--add", 1, "--folder", run.folder).returncode == 0
    run.wait_until_joined(4)
    second = run.command("--workers", 1, "elastic.toml")
    assert second.returncode == 2 and f"job {run.coordinator}" in second.stderr
    run.gate.open()
    run.wait_for_end()
    run.assert_same()


def test_a_cancelled_run_leaves_no_process_and_continues(slurm, setting):
    run = Launched(slurm, setting, "cancelled", 2)
    run.wait_until_held()
    assert any(" train " in line for line in slurm.processes().values())
    slurm.call("scancel", run.coordinator, code=0)
    seconds = wait_until(lambda: not slurm.processes() and not slurm.jobs(), what=lambda: str(slurm.processes()))
    print(f"no process {seconds:.1f} s after scancel")
    run.launch(1)
    run.gate.open()
    run.wait_for_end()
    run.assert_same()


def test_a_coordinator_that_returns_to_the_queue_keeps_its_workers(slurm, setting):
    run = Launched(slurm, setting, "requeued", 2)
    run.wait_until_held()
    slurm.call("scancel", "--batch", "--signal=USR1", run.coordinator, code=0)  # as before the time limit
    wait_until(lambda: slurm.jobs().get(run.coordinator) == "PENDING", what=run.everything)
    assert all(slurm.jobs()[f"{run.array}_{index}"] == "RUNNING" for index in (1, 2))
    run.gate.open()
    run.wait_for_end()
    assert run.log.read_text().count("coordinator on node") == 2
    run.assert_same()


def trainers_of(slurm):
    return sorted(number for number, line in slurm.processes().items()
                  if line.startswith(LONGSHOT) and " trainer " in line)


def test_several_trainers_start_again_together_and_save_before_they_end(slurm, setting):
    run = Launched(slurm, setting, "gang", 1, trainers=2)
    run.wait_until_held(1)
    first = trainers_of(slurm)
    assert len(first) == 2
    os.kill(first[1], signal.SIGKILL)
    wait_until(lambda: "all of them start again" in run.log.read_text(), what=run.everything)
    run.wait_until_trained_again()
    assert not set(first) & set(trainers_of(slurm))
    slurm.call("scancel", "--batch", "--signal=USR1", run.coordinator, code=0)  # as before the time limit
    wait_until(lambda: slurm.jobs().get(run.coordinator) == "PENDING", what=run.everything)
    run.wait_until_joined(3)
    slurm.call("scancel", "--batch", "--signal=INT", run.coordinator, code=0)
    run.wait_for_end()
    run.assert_saved()
    run.launch(1)
    run.wait_until_joined(4)
    slurm.call("scancel", run.coordinator, code=0)  # Slurm kills them at once
    run.wait_for_end()
    run.launch(1)
    run.gate.open()
    run.wait_for_end()
    run.assert_same()


def test_a_bad_configuration_ends_all_jobs(slurm, setting):
    root = setting[0]
    (root / "bad.toml").write_text("[model]\npath = 'nowhere'\n")
    for trainers in (1, 2):
        done = slurm.call(DEPLOY / "slurm/launch", "--trainers", trainers, "bad.toml", cwd=root, code=0)
        job = re.search(r"job (\d+)", done.stdout)[1]
        wait_until(lambda: not slurm.jobs())
        assert "ExitCode=2:0" in slurm.call("scontrol", "show", "job", job, code=0).stdout
        assert "nowhere" in (root / "bad.slurm/coordinator.log").read_text()
    assert not slurm.processes()


def test_the_launcher_refuses_bad_arguments(slurm, setting):
    root = setting[0]
    for words, named in ((("--workers", "many", "whole.toml"), "many"),
                         (("--trainers", "0", "whole.toml"), "'0'"), (("no_such.toml",), "no_such.toml"),
                         (("--wrokers", "1"), "--wrokers"), (("--add", "1"), "--folder"), ((), "configuration")):
        done = slurm.call(DEPLOY / "slurm/launch", *words, cwd=root, code=2)
        assert named in done.stderr
    assert not slurm.jobs()

"""Rows of tests/cluster/faults that disturb the coordinator, the directory and the disk."""
import contextlib
import math
import os
import re
import shutil
import signal
import subprocess
import time

from cluster_support import Etcd, EtcdMembers, Workers, write_run
from fault_support import LIMIT, Coordinator
from resume_support import lines

LEASE = 3  # seconds


def coordinator(course):
    """The coordinator is killed and started again; its workers stay."""
    course.write()
    with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
        while course.next(lead, 0.1, course.seconds):
            course.fault(anew=True)
            if not lead.kill():
                course.came_too_late()
                break
            lead.start()
            if course.rng.random() < 0.7:  # the others are killed while they start
                course.settle(lead)
        course.finish(lead)
        workers.assert_ended_well()


def versions(folder):
    """The folders of versions of the weights, complete or not."""
    with contextlib.suppress(FileNotFoundError):
        return {entry.name for entry in os.scandir(folder) if re.fullmatch(r"\d+-\d+", entry.name)}
    return set()


def wait_for_versions(course, lead, folder, count):
    """Returns as soon as the files of the last of so many new versions begin to appear, or when the run has ended."""
    known = versions(folder)
    while count > 0 and lead.poll() is None:
        new = versions(folder) - known
        known |= new
        count -= len(new)
        course.assert_moves()
        time.sleep(0.0005)


def publish(course):
    """The coordinator is killed up to 20 ms after it begins to write a new version of the weights."""
    course.write()
    folder = f"{course.run}.weights"
    with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
        while course.faults < course.wanted:
            wait_for_versions(course, lead, folder, course.rng.randrange(1, 7))
            time.sleep(course.rng.uniform(0, 0.02))
            course.fault(anew=True)
            if not lead.kill():
                course.came_too_late()
                break
            lead.start()
        course.finish(lead)
        workers.assert_ended_well()


def two_coordinators(course):
    """The coordinator is stopped for longer than its lease, another one takes its place, and the first one continues."""
    course.write(name=f"{course.row.name}{course.number}a")
    file, run = write_second(course)
    with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as first:
        course.begin(first)
        if not course.next(first, 0, course.seconds):
            return course.finish(first)
        first.signal(signal.SIGSTOP)
        if has_done_all(course, first):
            first.signal(signal.SIGCONT)
            return course.finish(first)
        time.sleep(course.rng.uniform(LEASE + 0.5, LEASE + 3))
        course.follow(run)
        course.fault()
        with Coordinator(course, file) as second:
            course.begin(second)
            course.runs_for(second, course.rng.uniform(0, 2))
            assert_gives_up(course, first)
            course.finish(second)
        workers.assert_ended_well()


def write_second(course):
    """The configuration and the run folder of another coordinator of the same run."""
    setting = (course.folder, course.model, course.lab.data, course.lab.etcd)
    file, run, url = write_run(setting, f"{course.row.name}{course.number}b", course.row.iterations)
    file.write_text(file.read_text().replace(f"url = '{url}'", f"url = '{course.url}'"))
    return file, run


def has_done_all(course, lead):
    """Whether its workers may have been told that the run is complete. Before training the metrics get a line."""
    return lead.poll() is not None or lines(course.run) > course.row.iterations


def assert_gives_up(course, first):
    began = time.monotonic()
    first.signal(signal.SIGCONT)
    code = first.process.wait(LIMIT)
    course.watch.seconds.append(time.monotonic() - began)
    assert code == 1 and "another process" in first.text(), f"exit code {code}\n{first.text()}"


@contextlib.contextmanager
def three_members(course):
    members = EtcdMembers(course.folder)
    try:
        yield members
    finally:
        members.stop()


def leader_of(members):
    """Just after a change there is none, and a member may not answer."""
    while True:
        with contextlib.suppress(StopIteration, OSError):
            return members.leader()
        time.sleep(0.05)


def etcd_leader(course):
    """The leader of three members of etcd is killed, and started again up to 4 s later."""
    with three_members(course) as members:
        course.write(members)
        with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
            course.begin(lead)
            while course.next(lead, 0.05, 1.5):
                leader = leader_of(members)
                course.fault()
                leader.stop()
                course.runs_for(lead, course.rng.uniform(0, 4))
                leader.start(members.all)
                leader.wait()
                course.settle(lead)
            course.finish(lead)
            workers.assert_ended_well()


class Away:
    """A directory that is away for a while: two of three members are killed, or the only one is stopped."""

    def __init__(self, course):
        self.alone = course.number % 2 == 0
        self.etcd = Etcd(course.folder / "etcd") if self.alone else EtcdMembers(course.folder)

    def begin(self, rng):
        self.lost = [] if self.alone else rng.sample(self.etcd.all, 2)
        for member in self.lost:
            member.stop()
        if self.alone:
            self.etcd.process.send_signal(signal.SIGSTOP)

    def end(self):
        if self.alone:
            self.etcd.process.send_signal(signal.SIGCONT)
        for member in self.lost:
            member.start(self.etcd.all)


def seconds_away(course):
    """Two of 20 times a minute."""
    index = course.before + course.faults
    return 60 if index % 10 == 7 else math.exp(course.rng.uniform(0, math.log(40)))


def etcd_away(course):
    """etcd does not answer for a second to a minute."""
    away = Away(course)
    try:
        course.write(away.etcd)
        with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
            course.begin(lead)
            while course.next(lead, 0.05, 1.5):
                seconds = seconds_away(course)
                course.fault(lasts=True)
                away.begin(course.rng)
                course.runs_for(lead, seconds)
                away.end()
                course.repaired()
                course.settle(lead)
            course.finish(lead)
            workers.assert_ended_well()
    finally:
        away.etcd.stop()


@contextlib.contextmanager
def small_disk(folder):
    """A disk of 32 MiB. It is kept as a copy if the run fails."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=True)
    try:
        yield folder
    except BaseException:
        shutil.copytree(folder, folder.with_name("disk_copy"), symlinks=True)
        raise
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(filler):
    """Takes all the room that there is."""
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass


def disk_full(course):
    """The disk of the run folder becomes full, the run ends, and the same command continues when there is room again."""
    disk = course.stack.enter_context(small_disk(course.folder / "disk"))
    course.write(folder=disk)
    text = course.file.read_text()
    course.file.write_text(text.replace(f"'{course.run}.weights'", f"'{course.folder}/weights'"))
    with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
        while course.next(lead, 0.05, course.seconds):
            if not end_by_full_disk(course, lead, disk / "filler"):
                course.weights_alone = True  # the last line of the log may be missing
                course.came_too_late()
                break
            lead.start()
            course.repaired()
            course.settle(lead)
        course.finish(lead)
        workers.assert_ended_well()


def end_by_full_disk(course, lead, filler):
    """Returns whether the run has ended for this reason, and not because it was complete."""
    course.fault(anew=True)
    while course.runs_for(lead, 0.01):
        fill(filler)
    course.watch.progressed()
    filler.unlink()
    if lead.poll() == 0:
        return False
    text = lead.text()
    named = "No space left on device" in text or "nothing of this run could be saved" in text
    assert lead.poll() in (1, 2) and named, f"exit code {lead.poll()}\n{text}"
    return True

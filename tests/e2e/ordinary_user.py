"""Commands as a user without rights runs them: root hands them to user 65534; whoever else runs the tests is such a user. Each has a
fresh home."""
import os
import pathlib
import subprocess

from support import LONGSHOT

USER = 65534
BUILD = pathlib.Path(LONGSHOT).resolve().parent.parent


def as_user(words, finder=("env",)):
    """The words of a command that hands itself to an ordinary user where root starts it. setpriv keeps root's capabilities
    until it has found the program that it starts, so `finder` finds the command; without it root does."""
    if os.getuid() != 0:
        return list(words)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *finder, *words]


def open_folders(folder, factory):
    """Root's folders of pytest are closed to other users; `factory` is its tmp_path_factory."""
    base = factory.getbasetemp()
    for path in (folder, base, base.parent) if os.getuid() == 0 else ():
        path.chmod(path.stat().st_mode | 0o055)  # never less than before: the last one may be /tmp


def environment(home):
    """Root's own Python and virtual environment may lie where others cannot enter."""
    of_root = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    return {**(of_root if os.getuid() == 0 else os.environ), "HOME": str(home)}


def can_start(program):
    return subprocess.run(as_user([program, "--version"]), capture_output=True, cwd="/").returncode == 0


class OrdinaryUser:
    """`program` is one that this user can start."""

    def __init__(self, home, program):
        self.home, self.program = home, program
        home.mkdir()
        if os.getuid() == 0:
            os.chown(home, USER, USER)

    def run(self, *words, cwd=None):
        """Returns what a command printed; fails unless it ends with 0."""
        done = subprocess.run(as_user(map(str, words)), cwd=cwd or self.home, env=environment(self.home), capture_output=True,
                              text=True, timeout=600)
        assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout + done.stderr

"""deploy/ssh.sh with a private sshd on loopback: the bits of one process, whatever ends a worker or the script itself."""
import contextlib
import getpass
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from cluster_support import free_port
from deploy_support import DEPLOY, LaunchedRun, command_lines, text_of, train_alone, wait_until
from support import LONGSHOT


class Sshd:
    """Lets this user in by a key of its own. `one` and `two` are names of this machine, `nowhere` of a closed port."""

    def __init__(self, folder):
        program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            pytest.xfail("sshd is not installed; tools/setup --tests installs it")
        self.folder = folder
        port = free_port()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True, timeout=60)
        (folder / "sshd_config").write_text(f"""
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/sshd.pid
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
""")
        (folder / "ssh_config").write_text(f"""
Host nowhere
  Port {free_port()}
Host *
  HostName 127.0.0.1
  Port {port}
  User {getpass.getuser()}
  IdentityFile {folder}/user
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
""")
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd refuses to start without it
        self.log = (folder / "sshd.log").open("w+")
        self.process = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=self.log)
        wait_until(lambda: "listening" in (folder / "sshd.log").read_text(), what=(folder / "sshd.log").read_text)

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    made = Sshd(tmp_path_factory.mktemp("sshd"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def setting(sshd, tmp_path_factory):
    root = tmp_path_factory.mktemp("ssh_runs")
    yield train_alone(root)
    for number in processes(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def processes(root):
    """What the script has started for the runs below the folder, here and on the hosts: {process id: command line}."""
    every = command_lines(int(name) for name in os.listdir("/proc") if name.isdigit())
    return {number: line for number, line in every.items() if str(root) in line}


class Launched(LaunchedRun):
    def __init__(self, sshd, setting, name, hosts, trainers=(), more=()):
        super().__init__(setting, name)
        self.trainers = [word for host in trainers for word in ("--trainer", host)] + list(more)
        self.sshd, self.folder, self.log = sshd, self.root / f"{name}.ssh", self.root / f"{name}.log"
        options = f"--threads 1 --weights-dir {self.root}/weights"
        (self.root / f"{name}.hosts").write_text("# two workers\n\n" + "".join(f"{host} {options}\n" for host in hosts))
        self.launch()

    def launch(self):
        environment = {**os.environ, "LONGSHOT_BIN": LONGSHOT, "LONGSHOT_SSH": f"ssh -F {self.sshd.folder}/ssh_config"}
        environment.pop("LONGSHOT_CLUSTER", None)
        words = [DEPLOY / "ssh.sh", "--address", "127.0.0.1", "--pause", "1", "--folder", self.folder,
                 *self.trainers, self.root / f"{self.name}.hosts", self.file]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, start_new_session=True)

    def everything(self):
        return self.log.read_text() + "".join(text_of(file) for file in self.folder.glob("[wt]*er-*.log"))

    def find(self, words, starts):
        return next(number for number, line in processes(self.root).items()
                    if words in line and line.startswith(starts))

    def wait_for_no_process(self):
        return wait_until(lambda: not processes(self.root), 30, lambda: str(processes(self.root)))

    def finish(self, code=0):
        assert self.process.wait(120) == code, self.everything()
        self.wait_for_no_process()


def test_workers_and_connections_that_die_are_replaced(sshd, setting):
    run = Launched(sshd, setting, "replaced", ["one", "two"])
    run.wait_until_held()
    assert (run.folder / "token").stat().st_mode & 0o777 == 0o600
    token = (run.folder / "token").read_text().strip()
    assert not any(token in line for line in processes(run.root).values())
    worker = run.find("worker --name worker-1 ", LONGSHOT)
    os.kill(worker, signal.SIGKILL)
    run.wait_until_joined(3)
    assert "worker-1 ended with code 137" in run.log.read_text()
    worker = run.find("worker --name worker-2 ", LONGSHOT)
    connection = run.find("worker-2", "ssh ")
    os.kill(connection, signal.SIGKILL)
    wait_until(lambda: worker not in processes(run.root), what=run.everything)  # its host has stopped it
    run.wait_until_joined(4)
    run.gate.open()
    run.finish()
    run.assert_same()


def test_a_script_that_is_killed_leaves_no_process_and_continues(sshd, setting):
    run = Launched(sshd, setting, "killed", ["one", "two"])
    run.wait_until_held()
    kinds = ("train", "worker --name worker-1 ", "worker --name worker-2 ")
    assert all(run.find(kind, LONGSHOT) for kind in kinds) and run.find("etcd", "etcd ")
    second = subprocess.run(run.process.args, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2 and "is active" in second.stderr
    run.process.kill()
    run.process.wait(10)
    print(f"no process {run.wait_for_no_process():.1f} s after kill -9 of the script")
    run.launch()
    run.wait_until_joined(3)
    run.process.send_signal(signal.SIGTERM)
    run.finish(130)
    run.launch()
    run.gate.open()
    run.finish()
    run.assert_same()


def test_several_trainers_start_again_together_and_end_together(sshd, setting):
    run = Launched(sshd, setting, "gang", ["one"], trainers=["two"])
    run.wait_until_held(1)
    trainers = [number for number, line in processes(run.root).items()
                if line.startswith(f"{LONGSHOT} trainer ")]
    assert len(trainers) == 2
    connection = run.find("trainer", "ssh ")
    os.kill(connection, signal.SIGKILL)
    run.wait_until_trained_again()
    assert "trainer 1 on two ended with code 137" in run.log.read_text()
    assert "all trainers start again" in run.log.read_text()
    assert not set(trainers) & set(processes(run.root))
    run.process.send_signal(signal.SIGTERM)
    run.finish(130)
    run.assert_saved()
    run.launch()
    run.wait_until_joined(3)
    run.process.kill()
    run.process.wait(10)
    run.wait_for_no_process()
    run.launch()
    run.gate.open()
    run.finish()
    run.assert_same()


def test_a_host_that_cannot_be_reached_is_named_and_the_others_work(sshd, setting):
    run = Launched(sshd, setting, "unreachable", ["one", "nowhere"])
    wait_until(lambda: "nowhere cannot be reached" in run.log.read_text(), what=run.everything)
    run.gate.open()
    run.finish()
    run.assert_same()


def test_a_trainer_that_never_starts_ends_the_run_at_the_limit(sshd, setting):
    run = Launched(sshd, setting, "never", ["one"], trainers=["two", "nowhere"], more=["--limit", "6"])
    run.finish(1)
    log = run.log.read_text()
    assert log.count("trainer 2 on nowhere has not started: ") >= 2 and "all trainers start again in 1 s" in log, log
    said = next(line for line in log.splitlines() if "(--limit)" in line)
    assert "trainer 2 on nowhere has not started: " in said and "the same command continues" in said
    assert "trainer 1 on two has not started" not in log and "Killed" not in log


def test_bad_arguments_are_refused(setting):
    root = setting[0]
    (root / "empty.hosts").write_text("# none\n")
    (root / "some.hosts").write_text("one\n")
    for words, named in (((), "hosts"), (("--adress", "x"), "--adress"), (("--trainer",), "--trainer needs a host"),
                         (("--limit", "soon", root / "some.hosts", root / "whole.toml"), "--limit takes whole seconds"), ((root / "no.hosts", root / "whole.toml"), "no.hosts"),
                         ((root / "some.hosts", root / "no.toml"), "no.toml"),
                         ((root / "empty.hosts", root / "whole.toml"), "names no host")):
        done = subprocess.run([DEPLOY / "ssh.sh", *words], capture_output=True, text=True, timeout=60, cwd=root,
                              env={**os.environ, "LONGSHOT_BIN": LONGSHOT})
        assert done.returncode == 2 and named in done.stderr, done.stderr
    assert not list(root.glob("whole.ssh"))

"""Rules that hold for every shell script in deploy/."""
import shutil
import subprocess

import pytest

from deploy_support import DEPLOY


def is_script(file):
    return file.suffix in (".sh", ".sbatch") or file.suffix == "" and file.is_file() and file.read_bytes().startswith(b"#!")


def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.xfail("shellcheck is not installed; tools/setup --tests installs it")
    scripts = [file for file in DEPLOY.rglob("*") if is_script(file) and file.name != "token"]
    assert {file.name for file in scripts} == {"launch", "common.sh", "coordinator.sbatch", "worker.sbatch", "etcd.sh",
                                               "ssh.sh", "ssh_trainers.sh"}
    done = subprocess.run(["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *scripts],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout

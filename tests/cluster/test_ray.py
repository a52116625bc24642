"""The parts of deploy/ray/launch.py that need no Ray; tests/cluster/try_ray runs the whole on a Ray of two nodes."""
import ast
import importlib.util
import os
import subprocess
import sys

import pytest

from deploy_support import DEPLOY, wait_until

SCRIPT = DEPLOY / "ray/launch.py"


@pytest.fixture(scope="module")
def launch():
    specification = importlib.util.spec_from_file_location("ray_launch", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_arguments_may_be_mixed_with_overrides(launch):
    found = launch.parse_arguments(["run.toml", "optim.lr=1", "--workers", "3", "--worker-resources", "CPU=4,GPU=0.5",
                                    "--worker-arguments", "--device cuda --slots 8", "trainer.seed=2"], {})
    assert (found.config, found.overrides, found.workers) == ("run.toml", ["optim.lr=1", "trainer.seed=2"], 3)
    assert launch.bundles(found) == [{"CPU": 1}] + 3 * [{"CPU": 4, "GPU": 0.5}]
    assert found.worker_arguments == ["--device", "cuda", "--slots", "8"]


def test_the_environment_gives_defaults_and_arguments_win(launch):
    environment = {"LONGSHOT_CLUSTER": "etcd://a:1/r", "LONGSHOT_BIN": "/bin/a", "RAY_ADDRESS": "a:6379"}
    found = launch.parse_arguments(["run.toml"], environment)
    assert (found.cluster, found.binary, found.address) == ("etcd://a:1/r", "/bin/a", "a:6379")
    found = launch.parse_arguments(["run.toml", "--cluster", "etcd://b:1/r", "--binary", "/bin/b", "--address", "b:1"],
                                   environment)
    assert (found.cluster, found.binary, found.address) == ("etcd://b:1/r", "/bin/b", "b:1")
    assert launch.child_environment({"HOME": "/h", "LONGSHOT_CLUSTER": "x"}, found.cluster) == {
        "HOME": "/h", "LONGSHOT_CLUSTER": "etcd://b:1/r"}


@pytest.mark.parametrize("words, named", [
    ([], "config"), (["run.toml", "--trainers", "0"], "one process"), (["run.toml", "--workers", "-1"], "-1"), (["run.toml", "--wrokers", "1"], "--wrokers"),
    (["run.toml", "--worker-resources", "CPU"], "CPU=8"), (["run.toml", "--strategy", "NEAR"], "NEAR")])
def test_bad_arguments_are_named(launch, words, named, capsys):
    with pytest.raises(SystemExit) as ended:
        launch.parse_arguments(words, {})
    assert ended.value.code == 2 and named in capsys.readouterr().err


def test_command_lines(launch):
    found = launch.parse_arguments(["run.toml", "a.b=1", "--binary", "/bin/l", "--worker-resources", "CPU=4"], {})
    assert launch.coordinator_command(found, "10.0.0.1", "/t") == [
        "/bin/l", "train", "run.toml", "cluster.listen=10.0.0.1:0", "cluster.weights_listen=10.0.0.1:0",
        "cluster.token_file=/t", "a.b=1"]
    assert launch.worker_command(found, "w", "10.0.0.2", "/t") == [
        "/bin/l", "worker", "--name", "w", "--listen", "10.0.0.2:0", "--token-file", "/t", "--threads", "4"]
    found.worker_arguments = ["--threads", "2"]
    assert launch.worker_command(found, "w", "10.0.0.2", "/t")[-2:] == ["--threads", "2"]


def test_several_trainers_have_one_command_apart_from_their_rank(launch):
    found = launch.parse_arguments(["run.toml", "--trainers", "2", "--workers", "1", "--binary", "/bin/l",
                                    "--coordinator-resources", "CPU=8"], {})
    assert launch.bundles(found) == [{"CPU": 8}, {"CPU": 1}, {"CPU": 8}]
    command = launch.coordinator_command(found, "10.0.0.1", "/t")
    assert launch.trainer_command(command, 0, 2, "10.0.0.1", 30000) == [
        "env", "RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=10.0.0.1", "MASTER_PORT=30000", "/bin/l", "trainer", *command[2:]]


def test_names_of_two_runs_differ(launch):
    first, second = launch.run_name("a/run.toml"), launch.run_name("a/run.toml")
    assert first != second and first.startswith("run-")


def test_a_child_ends_with_the_process_that_started_it(launch, tmp_path):
    """The parent starts a child as an actor does, and is killed with SIGKILL."""
    script = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {launch.DIE_WITH_ACTOR!r}, str(os.getpid()), "sleep", "600"],
                         start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    command = f"/proc/{child}/cmdline"
    wait_until(lambda: open(command).read().startswith("sleep"))
    parent.kill()
    parent.wait(10)
    wait_until(lambda: not os.path.exists(command) or open(command).read() == "")  # gone, or a zombie of init


def test_only_ray_and_the_standard_library_are_imported():
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"ray", "arguments"}
    assert len(SCRIPT.read_text().splitlines()) <= 300


def test_without_ray_the_message_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", f"""
import runpy, sys
sys.modules["ray"] = None  # as if it were not installed
sys.argv = [{str(SCRIPT)!r}, "run.toml"]
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "pip install ray" in done.stderr

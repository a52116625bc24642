"""A run whose training is shared by several processes gives the same bits as one process, and continues exactly after one
of them is lost."""
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from cluster_support import FAULTS, Etcd, Gang, Gate, Workers, assert_same_run, cluster_config, free_port
from resume_support import lines, train_config
from support import LONGSHOT, ROOT, longshot, tiny_model

ITERATIONS = 20


def with_lanes(text, lanes=4):
    return text.replace("[trainer]\n", f"[trainer]\nlanes = {lanes}\n").replace("threads = 2", "threads = 1")


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("gang")
    model, data = tiny_model(root)
    file = root / "whole.toml"
    file.write_text(with_lanes(train_config(root / "whole", model, data, ITERATIONS)))
    longshot("train", file)
    return root, model, data


def prepare(setting, name):
    root, model, data = setting
    file = root / f"{name}.toml"
    file.write_text(with_lanes(train_config(root / name, model, data, ITERATIONS)))
    return file, root / name


@pytest.mark.parametrize("size", [1, 2, 4])
def test_any_number_of_trainers_gives_the_bits_of_one_process(setting, size):
    file, run = prepare(setting, f"trainers{size}")
    with Gang(size, file, setting[0]) as gang:
        assert gang.wait() == [0] * size, gang.text()
    assert_same_run(run, setting[0] / "whole", ITERATIONS)
    names = sorted(path.name for path in (run / f"global_step_{ITERATIONS}").glob("optimizer*"))
    assert len(names) == size


HYBRID = tuple(f"hybrid.{key}=true" for key in ("free_cache_engine", "optimizer_offload", "param_offload"))


@pytest.mark.parametrize("size", [2, 4])
def test_the_trainer_that_generates_may_take_turns_with_its_rollout(setting, size):
    file, run = prepare(setting, f"turns{size}")
    with Gang(size, file, setting[0], *HYBRID) as gang:
        assert gang.wait() == [0] * size, gang.text()
    assert_same_run(run, setting[0] / "whole", ITERATIONS)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("timing_s/release", "timing_s/onload", "timing_s/offload"):
        assert all(name in row for row in rows[1:]), name


def test_every_trainer_offloads_its_state_while_samples_are_generated(setting):
    file, run = prepare(setting, "offloaded")
    gate = Gate(run, 3)
    file.write_text(file.read_text().replace("[reward]\n", gate.reward()))
    with Gang(2, file, setting[0], *HYBRID) as gang:
        gate.wait(gang.all[0])
        for process in gang.all:
            links = [os.readlink(link) for link in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()]
            files = [link for link in links if link.startswith(str(run)) and link.endswith("(deleted)")]
            assert len(files) == 2, links  # moments, weights
        assert "state is in a file while samples are generated" in gang.text_of(1)
        gate.open()
        assert gang.wait() == [0, 0], gang.text()
    weights = [folder / f"global_step_{ITERATIONS}/huggingface/model.safetensors" for folder in (run, setting[0] / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_epochs_give_every_trainer_the_same_schedule(setting):
    """Only trainer 0 reads the prompts that the number of iterations follows from: 400, in batches of 80."""
    overrides = ["trainer.total_iterations=100", "trainer.total_epochs=1", "data.train_batch_size=80"]
    file, run = prepare(setting, "epochs")
    with Gang(2, file, setting[0], *overrides) as gang:
        assert gang.wait() == [0, 0], gang.text()
    one_file, one = prepare(setting, "epochs_alone")
    longshot("train", one_file, *overrides)
    assert_same_run(run, one, 5)


@pytest.mark.parametrize("overrides", [(), HYBRID], ids=["plain", "hybrid"])
def test_a_trainer_that_is_killed_ends_the_others_and_the_same_command_continues(setting, overrides):
    rng, kills, runs = random.Random(4), 0, 0
    while kills < FAULTS:
        file, run = prepare(setting, f"killed{len(overrides)}_{runs}")
        while True:
            with Gang(2, file, setting[0], *overrides) as gang:
                time.sleep(rng.uniform(0.3, 3))
                victim = gang.all[rng.randrange(2)]
                victim.kill()
                if victim.wait(30) == 0:  # it had ended already
                    assert gang.wait() == [0, 0], gang.text()
                    break
                assert victim.returncode == -signal.SIGKILL, gang.text()
                gang.end_others()
                gang.wait(30)
                kills += 1
        assert_same_run(run, setting[0] / "whole", ITERATIONS)
        runs += 1
        assert runs < 60
    print(f"{kills} trainers were killed in {runs} runs")


def test_trainer_0_notices_a_loss_while_it_generates(setting):
    file, run = prepare(setting, "idle")
    gate = Gate(run, 4)
    file.write_text(file.read_text().replace("[reward]\n", gate.reward()))
    with Gang(2, file, setting[0]) as gang:
        gate.wait(gang.all[0])
        gang.all[1].kill()
        assert gang.wait(60)[0] == 1 and "another trainer has ended" in gang.text(), gang.text()
        assert "frame #" not in gang.text(), "a stack trace of libtorch"


def test_a_trainer_that_is_stopped_is_named_within_half_a_minute(setting):
    """Once it is the one that waits for the others, and once the one with the meeting point."""
    runs = []
    for stopped in (0, 1):
        file, run = prepare(setting, f"stopped{stopped}")
        gate = Gate(run, 4)
        file.write_text(file.read_text().replace("[reward]\n", gate.reward()))
        runs.append((stopped, file, run, gate))
    with contextlib.ExitStack() as stack:
        gangs = [stack.enter_context(Gang(2, file, run.with_name(f"logs{stopped}"))) for stopped, file, run, _ in runs]
        for gang, (stopped, _, _, gate) in zip(gangs, runs):
            gate.wait(gang.all[0])
            gang.all[stopped].send_signal(signal.SIGSTOP)
        begin = time.time()
        for gang, (stopped, _, _, _) in zip(gangs, runs):
            other = gang.all[1 - stopped]
            assert other.wait(60) == 1, gang.text()
            print(f"the loss of trainer {stopped} ended the other one after {time.time() - begin:.1f} s")
            who = f"trainer 1 on {os.uname().nodename}" if stopped == 1 else "the meeting point"
            assert "frame #" not in gang.text(), "a stack trace of libtorch"
            assert f"{who} " in gang.text() and "has given no sign of life for 20 s" in gang.text(), gang.text()
            gang.all[stopped].kill()
        assert time.time() - begin < 30
    for stopped, file, run, gate in runs:
        gate.open()
        with Gang(2, file, run.with_name(f"logs{stopped}")) as gang:
            assert gang.wait() == [0, 0], gang.text()
    assert_same_run(runs[0][2], runs[1][2], ITERATIONS)
    whole_file, whole = prepare(setting, "stopped_whole")
    whole_file.write_text(whole_file.read_text().replace("[reward]\n", Gate.reward_of(whole)))
    longshot("train", whole_file)
    assert_same_run(runs[0][2], whole, ITERATIONS)


def test_a_run_continues_with_another_number_of_trainers(setting):
    file, run = prepare(setting, "resized")
    for size, iterations in ((2, 6), (4, 12), (1, ITERATIONS)):
        with Gang(size, file, setting[0], f"trainer.total_iterations={iterations}") as gang:
            assert gang.wait() == [0] * size, gang.text()
    # The learning rate follows a cosine to the end of the run, so the weights are those of a run with the same stops.
    whole_file, whole = prepare(setting, "resized_whole")
    for iterations in (6, 12, ITERATIONS):
        longshot("train", whole_file, f"trainer.total_iterations={iterations}")
    assert_same_run(run, whole, ITERATIONS)


def test_torchrun_starts_a_lost_gang_again(setting):
    file, run = prepare(setting, "torchrun")
    gate = Gate(run, 4)
    file.write_text(file.read_text().replace("[reward]\n", gate.reward()))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts",
                "3", "--no-python", LONGSHOT, "trainer", str(file)]
    log = (setting[0] / "torchrun.log").open("w+")
    agent = subprocess.Popen(torchrun, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    try:
        gate.wait(agent, 120)
        found = subprocess.run(["pgrep", "-P", str(agent.pid)], capture_output=True, text=True, check=True)
        os.kill(int(found.stdout.split()[-1]), signal.SIGKILL)
        gate.open()
        code = agent.wait(180)
        log.seek(0)
        assert code == 0, log.read()
    finally:
        if agent.poll() is None:
            os.killpg(agent.pid, signal.SIGTERM)
            agent.wait(60)
    whole_file, whole = prepare(setting, "torchrun_whole")
    whole_file.write_text(whole_file.read_text().replace("[reward]\n", Gate.reward_of(whole)))
    longshot("train", whole_file)
    assert_same_run(run, whole, ITERATIONS)


def test_trainers_and_rollout_workers_together(setting):
    root, model, data = setting
    etcd = Etcd(root / "etcd")
    try:
        texts = {name: with_lanes(cluster_config(root / name, model, data, ITERATIONS)) for name in ("alone", "both")}
        for name, text in texts.items():
            (root / f"{name}.toml").write_text(text)
        longshot("train", root / "alone.toml")
        url = f"{etcd.url}/both"
        with Workers(url, root, 2) as workers, Gang(2, root / "both.toml", root, "--cluster", url) as gang:
            assert gang.wait() == [0, 0], gang.text()
            workers.assert_ended_well()
        assert_same_run(root / "both", root / "alone", ITERATIONS)
    finally:
        etcd.stop()


def test_bad_input_of_a_gang_is_named(setting):
    file, run = prepare(setting, "bad")
    for overrides, text in ((("trainer.lanes=1",), "trainer.lanes = 1"),
                            (("hybrid.optimizer_offload=true", "hybrid.offload_dir=/proc/none"), "/proc/none")):
        with Gang(2, file, setting[0], *overrides) as gang:
            assert gang.wait(60)[0] == 2 and text in gang.text(), gang.text()
    assert not run.exists()
    done = subprocess.run([LONGSHOT, "trainer", str(file)], capture_output=True, text=True, cwd=ROOT, timeout=60,
                          env={**os.environ, "RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"})
    assert done.returncode == 2 and "RANK" in done.stderr


def test_trainers_with_other_configurations_are_refused(setting):
    root, model, data = setting
    file, run = prepare(setting, "differs")
    port = free_port()
    processes = [subprocess.Popen([LONGSHOT, "trainer", str(file), f"optim.lr={lr}"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, cwd=ROOT,
                                  env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                                       "MASTER_PORT": str(port)})
                 for rank, lr in enumerate(("1e-4", "2e-4"))]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert processes[0].returncode == 1 and "trainer 1 of 2 failed" in errors[0], errors
    assert processes[1].returncode == 2 and "configuration differs" in errors[1], errors
    assert lines(run) == 0

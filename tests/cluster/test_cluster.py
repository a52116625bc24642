"""A run on several processes gives the same bits as one process, whatever happens to its workers, its coordinator and its
directory."""
import json
import os
import random
import re
import signal
import socket
import subprocess
import time

import pytest

from cluster_support import (FAULTS, EtcdMembers, Gate, Worker, Workers, assert_same_run, cluster_config, finish,
                             kill_workers, wait_for, whole_run_and_etcd, write_run)
from resume_support import kill_until_done, lines, start
from support import LONGSHOT, ROOT, longshot

ITERATIONS = 30
HYBRID = "[hybrid]\nfree_cache_engine = true\noptimizer_offload = true\nparam_offload = true\n"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    with whole_run_and_etcd(tmp_path_factory.mktemp("cluster"), ITERATIONS) as made:
        yield made


@pytest.fixture(autouse=True)
def processes(monkeypatch):
    """Ends the coordinators that a failed test has left."""
    begun, original = [], start

    def begin(*arguments, **options):
        begun.append(original(*arguments, **options))
        return begun[-1]

    monkeypatch.setitem(globals(), "start", begin)
    yield
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.communicate()


def prepare(setting, name, iterations=ITERATIONS, text=""):
    return write_run(setting, name, iterations, text)


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_workers_gives_the_bits_of_one_process(setting, count):
    root = setting[0]
    file, run, url = prepare(setting, f"workers{count}")
    with Workers(url, root, count) as workers:
        finish(start(file))
        for worker in workers.all:
            code, text = worker.wait()
            assert code == 0 and "the run has ended" in text
    assert_same_run(run, root / "whole", ITERATIONS)


def test_workers_that_are_killed_and_replaced_change_nothing(setting):
    root, rng, kills, runs = setting[0], random.Random(1), 0, 0
    while kills < FAULTS:
        file, run, url = prepare(setting, f"killed{runs}")
        with Workers(url, root, 3) as workers:
            kills += kill_workers(start(file), run, workers, rng)
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60
    print(f"{kills} workers were killed in {runs} runs")


def test_workers_that_free_their_memory_while_the_model_is_trained_change_nothing(setting):
    """Others join meanwhile, and checkpoints have the workers load the same weights again."""
    root, rng = setting[0], random.Random(3)
    file, run, url = prepare(setting, "turns")
    file.write_text(file.read_text() + HYBRID)
    with Workers(url, root, 3) as workers:
        assert kill_workers(start(file), run, workers, rng) > 0
    assert_same_run(run, root / "whole", ITERATIONS)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("timing_s/release", "timing_s/onload", "timing_s/offload"):
        assert all(name in row for row in rows[1:]), name


def test_workers_that_stall_change_nothing(setting):
    root, rng = setting[0], random.Random(2)
    file, run, url = prepare(setting, "stalled")
    gate = Gate(run, 3)
    with Workers(url, root, 2) as workers:
        process = start(file)
        for iteration in (3, 8, 13, 18, 23):
            gate.wait(process)
            worker = workers.all[rng.randrange(2)]
            worker.signal(signal.SIGSTOP)
            gate.hold_at(iteration + 5)
            time.sleep(1.5)  # longer than cluster.silence_seconds
            worker.signal(signal.SIGCONT)
        gate.open()
        finish(process)
    assert_same_run(run, root / "whole", ITERATIONS)


def test_a_coordinator_that_is_killed_continues_with_the_same_workers(setting):
    root, rng, kills, runs = setting[0], random.Random(3), 0, 0
    while kills < FAULTS:
        file, run, url = prepare(setting, f"led{runs}")
        with Workers(url, root, 2) as workers:
            kills += kill_until_done(file, lambda: rng.uniform(0.6, 4.6))
            workers.assert_ended_well()  # none of them was started again
        assert_same_run(run, root / "whole", ITERATIONS)
        runs += 1
        assert runs < 60
    print(f"the coordinator was killed {kills} times in {runs} runs")


def test_a_directory_that_is_away_delays_the_run_only(setting):
    root, _, _, etcd = setting
    file, run, url = prepare(setting, "away")
    gate = Gate(run, 3)
    with Workers(url, root, 2):
        process = start(file)
        gate.wait(process)
        etcd.process.send_signal(signal.SIGSTOP)
        gate.open()
        time.sleep(8)  # longer than every lease
        before = lines(run)
        assert process.poll() is None and before < ITERATIONS
        etcd.process.send_signal(signal.SIGCONT)
        finish(process)
    assert_same_run(run, root / "whole", ITERATIONS)


def test_a_directory_that_is_restarted_delays_the_run_only(setting):
    root, _, _, etcd = setting
    file, run, url = prepare(setting, "restarted")
    gate = Gate(run, 3)
    with Workers(url, root, 2):
        process = start(file)
        gate.wait(process)
        etcd.stop()
        gate.open()
        time.sleep(1)
        etcd.start()
        finish(process)
    assert_same_run(run, root / "whole", ITERATIONS)


def test_a_directory_that_loses_its_leader_changes_nothing(setting):
    root, model, data, _ = setting
    members = EtcdMembers(root)
    try:
        file, run, url = prepare((root, model, data, members), "members")
        gate = Gate(run, 3)
        with Workers(url, root, 2):
            process = start(file)
            for iteration in (3, 8, 13):
                gate.wait(process)
                leader = members.leader()
                leader.stop()
                gate.hold_at(iteration + 5)
                gate.wait(process)  # two members are enough
                leader.start(members.all)
                leader.wait()
            gate.open()
            finish(process)
    finally:
        members.stop()
    assert_same_run(run, root / "whole", ITERATIONS)


def test_weights_in_bf16_travel_as_differences_and_give_the_same_bits(setting):
    root, model, data, _ = setting
    changes = ("rollout.dtype=bfloat16", "optim.lr=1e-6")
    alone = root / "bf16_alone.toml"
    alone.write_text(cluster_config(root / "bf16_alone", model, data, ITERATIONS))
    longshot("train", alone, *changes)
    file, run, url = prepare(setting, "bf16")
    with Workers(url, root, 1) as workers:
        finish(start(file, *changes))
        code, text = workers.all[0].wait()
    assert code == 0 and "as a delta" in text, text
    assert_same_run(run, root / "bf16_alone", ITERATIONS)


def test_ctrl_c_saves_and_the_workers_wait(setting):
    root = setting[0]
    file, run, url = prepare(setting, "stopped")
    gate = Gate(run, 3)
    with Workers(url, root, 2) as workers:
        process = start(file)
        gate.interrupt(process)
        assert all(worker.process.poll() is None for worker in workers.all)
        finish(start(file))
        workers.assert_ended_well()
    assert_same_run(run, root / "whole", ITERATIONS)


def test_a_worker_that_is_asked_to_stop_leaves_at_once(setting):
    root = setting[0]
    file, run, url = prepare(setting, "left")
    gate = Gate(run, 2)
    with Workers(url, root, 2) as workers:
        process = start(file)
        gate.wait(process)
        workers.all[0].signal(signal.SIGTERM)
        gate.open()
        code, text = workers.all[0].wait(10)
        assert code == 130, text
        finish(process)
    assert_same_run(run, root / "whole", ITERATIONS)
    assert_report_shows_who_left(run, root / "left.html", "w0")


def assert_report_shows_who_left(run, page, name):
    """The page's script shows the section of the workers if there are such metrics or events."""
    longshot("report", run, "--output", page)
    (shown,) = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.S)[1])["runs"]
    assert {"rollout/reissued", "rollout/workers", "rollout/host_tokens/" + socket.gethostname()} <= shown["metrics"].keys()
    assert shown["metrics"]["rollout/workers"][-1] == 1 and max(filter(None, shown["metrics"]["rollout/loads"])) >= 1
    assert max(filter(None, shown["metrics"]["replay/staleness/max"])) >= 1, "samples are cut, and continue with the next version"
    by_kind = {kind: [event for event in shown["events"] if event["event"] == kind] for kind in ("joined", "left")}
    assert {event["worker"] for event in by_kind["joined"]} == {"w0", "w1"}
    (left,) = by_kind["left"]
    assert left["worker"] == name and left["host"] == socket.gethostname() and left["cause"], left
    assert 0 < left["step"] <= ITERATIONS and "127.0.0.1" in left["address"], left


def test_a_second_coordinator_is_refused_and_names_the_first(setting):
    root = setting[0]
    file, run, url = prepare(setting, "led_by_one")
    other, _, _ = prepare(setting, "led_by_other")
    other.write_text(other.read_text().replace("/led_by_other'", "/led_by_one'", 1))
    process = start(file)  # without workers it waits
    time.sleep(1.5)
    second = longshot("train", other, code=1, timeout=60)
    assert "led_by_one" in second.stderr and "coordinator" in second.stderr
    assert not (root / "led_by_other/global_step_0").exists()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_coordinator_that_lost_its_lease_to_another_one_ends(setting):
    root = setting[0]
    file, run, url = prepare(setting, "lost")
    other, other_run, _ = prepare(setting, "taken")
    other.write_text(other.read_text().replace("/taken'\n", "/lost'\n", 1))
    gate, other_gate = Gate(run, 3), Gate(other_run, 2)
    with Workers(url, root, 1):
        process = start(file)
        gate.wait(process)
        process.send_signal(signal.SIGSTOP)
        time.sleep(3.5)  # longer than the lease
        second = start(other)
        other_gate.wait(second)  # with the worker of the first
        process.send_signal(signal.SIGCONT)
        gate.open()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and "another process" in errors, errors
        other_gate.open()
        finish(second)
    assert_same_run(other_run, root / "whole", ITERATIONS)


def test_a_worker_without_the_token_gets_nowhere(setting):
    root = setting[0]
    (root / "token").write_text("open sesame\n")
    (root / "wrong").write_text("sesame\n")
    file, run, url = prepare(setting, "secret", 3, f"token_file = '{root}/token'\n")
    process = start(file)
    for name, arguments in (("none", ()), ("wrong", ("--token-file", root / "wrong"))):
        worker = Worker(url, name, root, *arguments)
        code, text = worker.wait()
        assert code == 2 and "token" in text, text
    with Workers(url, root, 1, "--token-file", root / "token"):
        finish(process)


def test_top_and_metrics_show_who_does_what(setting):
    root = setting[0]
    (root / "token").write_text("open sesame\n")
    file, run, url = prepare(setting, "shown", ITERATIONS, f"token_file = '{root}/token'\n")
    top = ("top", "--cluster", url, "--token-file", root / "token")
    assert "the run 'shown' has no coordinator now" in longshot(*top, code=1).stderr
    gate = Gate(run, 1)

    def shown(*words):
        seen = subprocess.run([LONGSHOT, *map(str, top)], capture_output=True, text=True).stdout
        return all(word in seen for word in words)

    process = start(file)  # it waits for its first worker
    wait_for(lambda: shown("0 workers", "version 1"), process)
    wait_for(lambda: json.loads(longshot(*top, "--json").stdout)["samples"] == 16, process)
    status = json.loads(longshot(*top, "--json").stdout)
    assert status["run"] == "shown" and status["version"] == 1 and status["workers"] == []
    assert status["waiting"] == status["samples"] == 16  # the evaluation before training
    assert "--token-file" in longshot("top", "--cluster", url, code=2).stderr
    with Workers(url, root, 1, "--token-file", root / "token"):
        gate.wait(process)
        wait_for(lambda: shown("1 workers, 1 ready", "w0"), process)
        gate.open()
        finish(process)


def test_other_arithmetic_is_refused_unless_it_is_allowed(setting):
    root = setting[0]
    file, run, url = prepare(setting, "exact", 2)
    process = start(file)
    # The generic kernels of libtorch compute in another order.
    other = Worker(url, "other", root, "--engine", "torch")
    code, text = other.wait()
    assert code == 2 and "cluster.exact = false" in text, text
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    file.write_text(file.read_text().replace("[cluster]\n", "[cluster]\nexact = false\n"))
    process = start(file)
    with Workers(url, root, 1, "--engine", "torch"):
        finish(process)


def test_bad_input_is_refused_before_anything_is_written(setting):
    root, model, data, etcd = setting
    file = root / "bad.toml"
    text = cluster_config(root / "bad", model, data, 2)
    for change, named in (("url = 'etcd:/nothing'", "etcd:/nothing"),
                          (f"url = '{etcd.url}/x'\nlisten = '127.0.0.1'", "cluster.listen"),
                          (f"url = '{etcd.url}/x'\ntoken_file = '{root}/no_such_file'", "no_such_file")):
        file.write_text(text.replace("[cluster]\n", f"[cluster]\n{change}\n"))
        done = longshot("train", file, "--dry-run", code=2)
        assert named in done.stderr, done.stderr
        assert named in longshot("train", file, code=2).stderr
    file.write_text(text.replace("[cluster]\n", f"[cluster]\nurl = '{etcd.url}/x'\n")
                    .replace("segment_tokens = 12", "token_budget = 12"))
    assert "rollout.segment_tokens" in longshot("train", file, code=2).stderr
    assert not (root / "bad").exists()
    for arguments in (("--cluster", "nowhere"), ("--cluster", f"{etcd.url}/x", "--device", "abacus"), ()):
        done = subprocess.run([LONGSHOT, "worker", *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT)
        assert done.returncode == 2, done.stderr


def test_the_environment_names_the_run_and_arguments_win(setting):
    root, model, data, _ = setting
    file = root / "environment.toml"
    file.write_text(cluster_config(root / "environment", model, data, 2))
    environment = {**os.environ, "LONGSHOT_CLUSTER": "from-environment"}
    for words, named in ((("worker",), "from-environment"), (("worker", "--cluster", "from-flag"), "from-flag"),
                         (("top",), "from-environment"), (("top", "--cluster", "from-flag"), "from-flag"),
                         (("train", file), "from-environment"), (("train", file, "--cluster", "from-flag"), "from-flag"),
                         (("train", file, "cluster.url=from-override"), "from-override")):
        done = subprocess.run([LONGSHOT, *map(str, words)], capture_output=True, text=True, timeout=60, cwd=ROOT,
                              env=environment)
        assert done.returncode == 2 and named in done.stderr, done.stderr

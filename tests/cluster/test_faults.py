"""The faults of tests/cluster/faults that no other test provokes, once each."""
import json
import subprocess
import sys

from support import ROOT

ROWS = ["all_workers", "slow_worker", "trainer_host", "publish", "weight_host", "disk_full"]


def faults(*arguments, code=0):
    done = subprocess.run([sys.executable, "-B", ROOT / "tests/cluster/faults", *map(str, arguments)], capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_each_fault_changes_nothing(tmp_path):
    output = tmp_path / "results.jsonl"
    text = faults("--rows", ",".join(ROWS), "--count", 1, "--output", output)
    print(text)
    results = {line["row"]: line for line in map(json.loads, output.read_text().splitlines())}
    left_out = [name for name in ROWS if f"{name}: left out" in text]
    assert list(results) == [name for name in ROWS if name not in left_out]
    for line in results.values():
        assert line["passed"] and line["same_bits"] and line["faults"] >= 1 and line["processes_left"] == 0, line
    shown = faults("--table", "--output", output)
    assert shown.count("| yes |") == len(results), shown


def test_an_unknown_row_is_named():
    done = subprocess.run([sys.executable, "-B", ROOT / "tests/cluster/faults", "--rows", "worker,flood"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2 and "flood" in done.stderr, done.stderr

"""sft and rm on streamed rows: a run that is stopped and resumed equals an uninterrupted one bit for bit; epochs end by themselves."""
import json
import random

import pyarrow
import pyarrow.parquet
import pytest

from resume_support import checkpoints, interrupt, lines, metrics, refused
from support import longshot

MODEL = """
hidden_size = 32
num_layers = 1
num_heads = 2
num_kv_heads = 1
intermediate_size = 64
max_positions = 128
"""


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """3,000 rows in five files of both formats, one of them empty; 50 rows are too long."""
    root = tmp_path_factory.mktemp("streaming")
    longshot("data", "make", "--task", "addition", "--levels", "1-2", "--out", root, "--train", 10, "--val", 10, "--sft",
             2950, "--seed", 3)
    rows = [json.loads(line) for line in (root / "sft.jsonl").read_text().splitlines()]
    long = [{"prompt": "1+1=", "completion": "1" * 200}] * 50
    rows = [{"prompt": row["prompt"], "completion": row["completion"]} for row in rows] + long
    random.Random(1).shuffle(rows)
    write_jsonl(root / "part-0.jsonl", rows[:1200])
    write_jsonl(root / "part-1.jsonl", [])
    write_jsonl(root / "part-2.jsonl", rows[1200:2000])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[2000:2900]), root / "part-3.parquet", row_group_size=128)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[2900:]), root / "part-4.parquet")
    return root


def config(root, name, data, extra="", trainer="total_epochs = 2"):
    file = root / f"{name}.toml"
    file.write_text(f"""
[model]
alphabet_file = "{data}/alphabet.txt"
{MODEL}
[data]
train_files = ["{data}/part-*"]
val_files = ["{data}/part-4.parquet"]
max_length = 96
streaming = true
shuffle_buffer = 100
[sft]
batch_tokens = 512
[optim]
lr = 1e-2
{extra}
[trainer]
{trainer}
test_freq = 40
save_freq = 25
threads = 2
default_local_dir = "{root / name}"
""")
    return file, root / name


def weights(run):
    return (run / "huggingface/model.safetensors").read_bytes()


def test_a_stopped_run_equals_an_uninterrupted_one(shards, tmp_path):
    file, whole = config(tmp_path, "whole", shards)
    errors = longshot("sft", file).stderr
    assert "50 rows are longer than 96 tokens and are left out" in errors
    expected = metrics(whole)
    assert len(expected) > 60
    file, run = config(tmp_path, "stopped", shards)
    middle = next(i for i, row in enumerate(expected) if row["data/epoch"] == 2)
    # Within the first epoch, at its end, and in the second one.
    for step in (13, middle, middle + 9, len(expected) - 3):
        interrupt(file, run, lambda: lines(run) >= step, command="sft")
        state = json.loads((run / f"global_step_{checkpoints(run)[-1]}/state.json").read_text())
        assert len(state["rows"]["start"]["files"]) == 5
    longshot("sft", file)
    assert metrics(run) == expected
    assert weights(run) == weights(whole)


def test_epochs_end_when_every_row_has_been_used(shards, tmp_path):
    file, run = config(tmp_path, "epochs", shards)
    longshot("sft", file)
    rows = metrics(run)
    epochs = [row["data/epoch"] for row in rows]
    assert sorted(set(epochs)) == [1, 2] and epochs == sorted(epochs)
    for epoch in (1, 2):
        last = [row for row in rows if row["data/epoch"] == epoch][-1]
        assert (last["data/rows"], last["data/dropped_rows"]) == (2950, 50)
    assert "val/loss" in rows[-1] and rows[-1]["val/loss"] < rows[39]["val/loss"] + 0.5


def test_the_number_of_steps_decides_about_the_schedule(shards, tmp_path):
    file, run = config(tmp_path, "cosine", shards, extra='schedule = "cosine"')
    assert "trainer.total_steps" in longshot("sft", file, code=2).stderr
    longshot("sft", file, "trainer.total_steps=30")
    assert len(metrics(run)) == 30 and metrics(run)[-1]["train/lr"] < 2e-3
    file, _ = config(tmp_path, "half", shards, trainer="total_epochs = 0.5")
    assert "whole number" in longshot("sft", file, code=2).stderr


def test_another_buffer_or_another_file_is_refused(shards, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("alphabet.txt", "part-0.jsonl", "part-2.jsonl", "part-4.parquet"):
        (data / name).write_bytes((shards / name).read_bytes())
    file, run = config(tmp_path, "kept", data)
    interrupt(file, run, lambda: lines(run) >= 5, command="sft")
    assert "data.shuffle_buffer was 100; set that back" in refused(run, file, "data.shuffle_buffer=99", command="sft")
    assert "set data.streaming=true" in refused(run, file, "data.streaming=false", "data.shuffle_buffer=10000", command="sft")
    before = (data / "part-2.jsonl").read_text()
    write_jsonl(data / "part-2.jsonl", [json.loads(line) for line in before.splitlines()][1:])
    assert "data.train_files has another content now" in refused(run, file, command="sft")
    (data / "part-2.jsonl").write_text(before)
    longshot("sft", file)


def test_a_bad_row_is_named_when_it_is_reached(shards, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("alphabet.txt", "part-0.jsonl", "part-4.parquet"):
        (data / name).write_bytes((shards / name).read_bytes())
    good = (data / "part-0.jsonl").read_text().splitlines(keepends=True)
    (data / "part-0.jsonl").write_text("".join(good[:700]) + '{"prompt": "1+1="}\n' + "".join(good[700:]))
    file, run = config(tmp_path, "bad", data)
    error = longshot("sft", file, code=2).stderr
    assert "part-0.jsonl:701: no text to train on" in error and "steps are saved" in error


def test_a_dry_run_reads_one_buffer(shards, tmp_path):
    file, run = config(tmp_path, "dry", shards)
    assert "the first 100 training rows, " in longshot("sft", file, "--dry-run").stderr
    assert not run.exists()


def test_a_reward_model_streams_too(shards, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "alphabet.txt").write_bytes((shards / "alphabet.txt").read_bytes())
    pairs = [{"prompt": f"{a}+{b}=", "chosen": str(a + b), "rejected": str(a + b + 1)} for a in range(40) for b in range(20)]
    write_jsonl(data / "part-0.jsonl", pairs)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs[:20]), data / "part-4.parquet")
    whole_file, whole = config(tmp_path, "whole", data)
    file, run = config(tmp_path, "stopped", data)
    for path in (whole_file, file):
        path.write_text(path.read_text().replace("[sft]", "[rm]"))
    dry = longshot("rm", file, "--dry-run").stderr
    assert "100 of the 100 training rows are pairs" in dry
    longshot("rm", whole_file)
    interrupt(file, run, lambda: lines(run) >= 7, command="rm")
    longshot("rm", file)
    assert metrics(run) == metrics(whole)
    assert weights(run) == weights(whole)

"""Preference training from a user's view: rows, interruption, reference log-probabilities, plan, errors."""
import json
import random
import signal

import pytest

from resume_support import contents, interrupt, killed_runs, lines, metrics, start
from support import longshot, tiny_model


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Returns (folder, model, rows): pairs as `longshot select` writes them, the shorter of two right answers chosen."""
    root = tmp_path_factory.mktemp("dpo")
    model, data = tiny_model(root, steps=60)
    sft = [json.loads(line) for line in (data / "sft.jsonl").read_text().splitlines()]
    pairs = [{"prompt": row["prompt"], "chosen": "#" + row["completion"].split("#")[1], "rejected": row["completion"],
              "data_source": "addition"} for row in sft]
    for name, part in (("pairs", pairs[:96]), ("val", pairs[96:112])):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in part))
    return root, model, root / "pairs.jsonl"


def config(setting, run, steps=24, extra=""):
    root, model, rows = setting
    file = root / f"{run.name}.toml"
    file.write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{rows}"]
val_files = ["{root}/val.jsonl"]
{extra}
[dpo]
beta = 0.2
batch_tokens = 400
[optim]
lr = 1e-3
schedule = "linear"
[trainer]
total_steps = {steps}
test_freq = 8
save_freq = 5
threads = 2
default_local_dir = "{run}"
""")
    return file


@pytest.fixture(scope="module")
def whole(setting):
    root, _, _ = setting
    done = longshot("dpo", config(setting, root / "whole"))
    assert done.stdout.strip() == str(root / "whole/huggingface")
    return root / "whole"


def test_training_prefers_the_shorter_answers(whole):
    rows = metrics(whole)
    assert [row["step"] for row in rows] == list(range(1, 25))
    names = {"train/loss", "train/accuracy", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies",
             "logps/chosen", "logps/rejected", "train/grad_norm", "train/lr", "train/tokens", "train/pairs"}
    assert all(names <= row.keys() for row in rows)
    assert abs(rows[0]["rewards/margins"]) < 1e-4 and rows[0]["train/loss"] == pytest.approx(0.6931, abs=1e-3)
    held_out = [row for row in rows if "val/loss" in row]
    assert [row["step"] for row in held_out] == [8, 16, 24]
    assert held_out[-1]["val/rewards/accuracies"] > 0.9 and held_out[-1]["val/loss"] < held_out[0]["val/loss"] < 0.69
    assert not list(whole.glob("global_step_*"))
    page = whole.parent / "report.html"
    longshot("report", whole, "--output", page)
    assert "rewards/margins" in page.read_text()


def assert_the_same_run(run, whole):
    assert metrics(run) == metrics(whole)
    for name in ("huggingface/model.safetensors", "reference_train.bin", "reference_val.bin"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_killed_at_twenty_instants_continues_bit_for_bit(setting, whole):
    """From the start, over the pass of the reference model, to the last step."""
    root, _, _ = setting

    def prepare(name):
        return config(setting, root / name), root / name

    for run in killed_runs(prepare, 20, random.Random(6), command="dpo"):
        assert_the_same_run(run, whole)


def test_an_interrupted_run_continues_bit_for_bit(setting, whole):
    root, _, _ = setting
    run = root / "interrupted"
    file = config(setting, run)
    assert interrupt(file, run, lambda: lines(run) >= 21, command="dpo").exists()
    longshot("dpo", file)
    assert_the_same_run(run, whole)


def test_reference_logprobs_are_computed_once_and_belong_to_model_and_rows(setting, tmp_path):
    root, model, rows = setting
    run = tmp_path / "kept"
    file = config(setting, run, steps=9)
    newest = interrupt(file, run, lambda: lines(run) >= 3, command="dpo")
    stored = run / "reference_train.bin"
    before = stored.read_bytes()
    assert json.loads(before.split(b"\n")[0])["computed"] == 96
    # A damaged file is refused, and nothing is changed.
    saved = contents(newest)
    other = before.replace(json.loads(before.split(b"\n")[0])["rows"].encode(), b"0" * 16)
    stored.write_bytes(other)
    assert "is damaged" in longshot("dpo", file, code=2).stderr
    assert contents(newest) == saved and stored.read_bytes() == other
    # Without the file they are computed again, from the model before training.
    stored.unlink()
    longshot("dpo", file)
    assert stored.read_bytes() == before
    # Other rows in a folder whose run was saved are refused.
    again = tmp_path / "again"
    file = config(setting, again, steps=9)
    interrupt(file, again, lambda: lines(again) >= 6, command="dpo")
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join(reversed(rows.read_text().splitlines(keepends=True))))
    done = longshot("dpo", file, f"data.train_files=['{changed}']", code=2)
    assert "data.train_files" in done.stderr


def test_streamed_pairs_continue_bit_for_bit(setting):
    root, _, _ = setting
    extra = "streaming = true\nshuffle_buffer = 20\n"
    longshot("dpo", config(setting, root / "streamed", steps=14, extra=extra))
    assert not (root / "streamed/reference_train.bin").exists()
    run = root / "streamed_killed"
    file = config(setting, run, steps=14, extra=extra)
    interrupt(file, run, lambda: lines(run) >= 7, command="dpo")
    longshot("dpo", file)
    assert metrics(run) == metrics(root / "streamed")
    name = "huggingface/model.safetensors"
    assert (run / name).read_bytes() == (root / "streamed" / name).read_bytes()


def test_an_adapter_can_be_trained(setting):
    root, model, _ = setting
    run = root / "adapter_run"
    longshot("dpo", config(setting, run, steps=9), "model.lora_rank=4", "optim.lr=1e-2")
    assert (run / "adapter/adapter_model.safetensors").exists() and not (run / "huggingface").exists()
    assert metrics(run)[-1]["rewards/margins"] > 0.01


def test_a_dry_run_names_the_cost_and_writes_nothing(setting):
    root, _, _ = setting
    run = root / "planned"
    for overrides in ([], ["data.streaming=true"], ["trainer.total_steps=0", "trainer.total_epochs=2"]):
        done = longshot("dpo", config(setting, run), "--dry-run", *overrides)
        assert "96 training rows" in done.stderr
        assert "memory: about" in done.stderr and "time: about" in done.stderr and "[dpo]" in done.stdout
    assert not run.exists()


@pytest.mark.parametrize("line, word", [
    ('{"prompt": "1+1=", "completion": "2", "label": true}', "no preference pair"),
    ('{"prompt": "1+1=", "chosen": "2", "rejected": ["3"]}', "both be texts"),
    ('{"prompt": "1+1=", "chosen": "2", "rejected": 3}', "'rejected'"),
    ('{"chosen": "2", "rejected": "3"}', "begin differently"),
    ('{"prompt": "1+1=", "chosen": "2", "rejected": "3"', "bad.jsonl:2"),
])
def test_bad_rows_are_named(setting, tmp_path, line, word):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "1+1=", "chosen": "2", "rejected": "3"}\n' + line + "\n")
    done = longshot("dpo", config(setting, tmp_path / "never"), f"data.train_files=['{bad}']", code=2)
    assert f"{bad}:2" in done.stderr and word in done.stderr
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("change, word", [
    ("dpo.loss=hinge", "sigmoid, robust, ipo"), ("dpo.beta=0", "dpo.beta"), ("dpo.label_smoothing=0.5", "dpo.label_smoothing"),
    ("model.path=", "model.path"), ("dpo.reference_model=/nowhere", "dpo.reference_model"), ("dpo.bta=1", "dpo.beta"),
    ("beta=1", "dpo.beta"), ("model.alphabet_file=x", "model.alphabet_file"),
])
def test_bad_settings_are_named(setting, tmp_path, change, word):
    done = longshot("dpo", config(setting, tmp_path / "never"), change, code=2)
    assert word in done.stderr


def test_label_smoothing_is_not_for_ipo(setting, tmp_path):
    done = longshot("dpo", config(setting, tmp_path / "never"), "dpo.loss=ipo", "dpo.label_smoothing=0.1", code=2)
    assert "dpo.label_smoothing" in done.stderr


def test_pairs_without_a_difference_are_counted(setting, tmp_path):
    rows = tmp_path / "equal.jsonl"
    rows.write_text('{"prompt": "1+1=", "chosen": "#2", "rejected": "#2"}\n{"prompt": "1+1=", "chosen": "#2", "rejected": "#3"}\n')
    done = longshot("dpo", config(setting, tmp_path / "never"), f"data.train_files=['{rows}']", "--dry-run")
    assert "1 of 2 pairs have the same response twice" in done.stderr

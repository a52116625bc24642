"""Rows in .jsonl.gz files: every command that reads rows makes of them what it makes of the plain file."""
import gzip
import json

import pytest

from resume_support import interrupt, lines
from support import longshot, tiny_model

RUN = """
[data]
max_prompt_length = 24
max_response_length = 24
train_batch_size = 4
[rollout]
n = 2
[trainer]
total_iterations = 2
test_freq = 0
threads = 1
"""
TRAINED = "global_step_2/huggingface/model.safetensors"


def compress(path, members=3):
    """Writes the file beside it with its suffix; the members end within lines, as bgzip cuts them."""
    content = path.read_bytes()
    cuts = [len(content) * i // members for i in range(members + 1)]
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(b"".join(gzip.compress(content[a:b]) for a, b in zip(cuts, cuts[1:])))
    return packed


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("compressed")
    model, data = tiny_model(root, steps=20)
    for name in ("train", "val", "sft"):
        compress(data / f"{name}.jsonl")
    rows = [json.loads(line) for line in (data / "val.jsonl").read_text().splitlines()]
    answers = [{"completion": f"#### {i}", "ground_truth": "3"} for i in range(len(rows))]
    (data / "answers.jsonl").write_text("".join(json.dumps(row) + "\r\n" for row in answers))
    (data / "texts.jsonl").write_text("".join(json.dumps({"prompt": "1+1=", "text": f"{i}+1="}) + "\n" for i in range(5)))
    for name in ("answers", "texts"):
        compress(data / f"{name}.jsonl")
    return root, model, data


def test_runs_train_to_the_same_bytes(setting):
    root, model, data = setting
    (root / "rl.toml").write_text(RUN)
    weights = []
    for suffix in ("", ".gz"):
        run = root / f"rl{suffix}"
        longshot("train", root / "rl.toml", f"model.path={model}", f"data.train_files={data}/train.jsonl{suffix}",
                 f"data.val_files={data}/val.jsonl{suffix}", f"trainer.default_local_dir={run}")
        weights.append((run / TRAINED).read_bytes())
    assert weights[0] == weights[1]


def test_a_streamed_run_is_resumed_to_the_same_bytes(setting):
    root, model, data = setting
    weights = []
    for suffix in ("", ".gz"):
        run, file = root / f"streamed{suffix}", root / f"streamed{suffix}.toml"
        file.write_text(f"""
[model]
path = "{model}"
[data]
train_files = ["{data}/sft.jsonl{suffix}"]
streaming = true
shuffle_buffer = 100
max_length = 96
[sft]
batch_tokens = 256
[trainer]
total_steps = 60
save_freq = 10
test_freq = 0
threads = 1
default_local_dir = "{run}"
""")
        if suffix:
            interrupt(file, run, lambda: lines(run) > 12, command="sft")
        longshot("sft", file)
        weights.append((run / "huggingface/model.safetensors").read_bytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize("command, name", [
    (["eval", "--model", "MODEL", "--max-tokens", "8", "--samples", "OUT", "--data"], "val"),
    (["generate", "--model", "MODEL", "--max-tokens", "4", "--temperature", "0", "--output", "OUT", "--input"], "texts"),
    (["tokenize", "--model", "MODEL", "--output", "OUT", "--input"], "texts"),
    (["grade", "--output", "OUT", "--input"], "answers")])
def test_commands_write_the_same(setting, command, name):
    root, model, data = setting
    written = []
    for suffix in ("", ".gz"):
        out = root / f"{command[0]}.out{suffix}"
        longshot(*[{"MODEL": model, "OUT": out}.get(word, word) for word in command], f"{data}/{name}.jsonl{suffix}")
        written.append(out.read_bytes())
    assert written[0] == written[1] and written[0].count(b"\n") >= 5


def test_logprobs_inspect_and_a_suite_read_them(setting):
    root, model, data = setting
    rows = root / "only_texts.jsonl"
    rows.write_text("".join(json.dumps({"text": f"{i}+1="}) + "\n" for i in range(5)))
    for command in (["logprobs", "--model", model, "--input"], ["data", "inspect", "--json"]):
        plain, packed = (longshot(*command, path).stdout for path in (rows, compress(rows)))
        assert plain.replace(str(rows), "") == packed.replace(f"{rows}.gz", "")
    (root / "suite.toml").write_text(f'[[task]]\nname = "sums"\nfiles = ["{data}/val.jsonl.gz"]\nprompt = "{{prompt.0.content}}"\n'
                                     'answer = "{reward_model.ground_truth}"\nmax_tokens = 4\n')
    longshot("eval", "--model", model, "--suite", root / "suite.toml", "--output", root / "suite", "--max-problems", 3)
    assert len((root / "suite/sums.jsonl").read_text().splitlines()) == 3


def test_curate_and_select_make_the_same_files(setting):
    root, _, _ = setting
    raw, judged = root / "raw.jsonl", root / "judged.jsonl"
    raw.write_text("".join(json.dumps({"id": f"q{i}", "prompt": f"Find x{i % 40} of y{i % 40} now.", "answer": "7"}) + "\n"
                           for i in range(80)))
    sample = {"index": 0, "response": "7", "tokens": 1, "finish": "stop", "score": 1.0, "correct": True, "answer": "7",
              "components": {}}
    judged.write_text("".join(json.dumps({"id": f"q{i}", "data_source": "", "prompt": f"Find x{i}.", "ground_truth": "7",
                                          "extra_info": {}, "samples": [sample]}) + "\n" for i in range(9)))
    made = []
    for rows, samples in ((raw, judged), (compress(raw), compress(judged))):
        out = root / f"curated{rows.suffix}"
        plan = longshot("curate", rows, "--out", out, "--dry-run").stdout
        longshot("curate", rows, "--out", out)
        longshot("select", samples, "--rule", "correct", "--out", out / "selected.jsonl")
        made.append([plan.replace(str(rows), "").replace(str(out), ""), (out / "prompts.jsonl").read_bytes(),
                     (out / "selected.jsonl").read_bytes()])
        assert f"{rows}:41" in (out / "dropped.jsonl").read_text()
    assert made[0] == made[1] and "input: 80 rows" in made[0][0]


@pytest.mark.parametrize("command", [["data", "inspect"], ["grade", "--input"], ["tokenize", "--model", "MODEL", "--input"],
                                     ["curate", "--out", "OUT"]])
def test_a_file_that_ends_too_early_or_is_damaged_is_named(setting, tmp_path, command):
    _, model, data = setting
    packed = (data / "answers.jsonl.gz").read_bytes()
    words = [{"MODEL": model, "OUT": tmp_path / "out"}.get(word, word) for word in command]
    cut, damaged = tmp_path / "cut.jsonl.gz", tmp_path / "damaged.jsonl.gz"
    cut.write_bytes(packed[:10])
    damaged.write_bytes(packed[:12] + b"\xff\xff" + packed[14:])
    for path, fault in ((cut, "the gzip data end too early"), (damaged, "the gzip data are damaged")):
        errors = longshot(*words, path, code=2).stderr
        assert path.name in errors and fault in errors and "fetch or write it again" in errors

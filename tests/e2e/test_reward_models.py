"""Reward models from a user's view: training, interruption, judging, and use as rewards of an RL run."""
import http.server
import json
import re
import threading
import time

import pytest

from resume_support import interrupt, metrics
from support import Server, longshot, tiny_model, tiny_sizes, write_rl
from test_resume import assert_refused_while_in_use

QUESTION_THEN_ANSWER = "{question}{response}?"


def rm_config(root, data, run, steps=40):
    file = root / f"{run.name}.toml"
    file.write_text(tiny_sizes(data) + f"""
[data]
train_files = ["{data}/rm.jsonl"]
val_files = ["{data}/rm_val.jsonl"]
[rm]
batch_tokens = 1024
[optim]
lr = 3e-3
schedule = "linear"
[trainer]
total_steps = {steps}
test_freq = 10
threads = 2
default_local_dir = "{run}"
""")
    return file


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("rm")
    data = root / "data"
    longshot("data", "make", "--task", "check", "--levels", "1-2", "--out", data, "--train", 60, "--val", 40, "--sft", 150,
             "--seed", 3)
    done = longshot("rm", rm_config(root, data, root / "whole"))
    assert done.stdout.strip() == str(root / "whole/huggingface")
    return root, data


@pytest.fixture(scope="module")
def reasoner(setting):
    """A model that ends some of its answers with a verdict."""
    root, data = setting
    (root / "cot.toml").write_text(tiny_sizes(data) + f"""
[data]
train_files = ["{data}/sft.jsonl"]
[sft]
batch_tokens = 2048
[optim]
lr = 1e-2
[trainer]
total_steps = 150
test_freq = 0
default_local_dir = "{root}/cot"
""")
    longshot("sft", root / "cot.toml")
    return root / "cot/huggingface"


def test_training_says_how_it_goes(setting):
    root, _ = setting
    rows = metrics(root / "whole")
    assert [row["step"] for row in rows] == list(range(1, 41))
    for name in ("train/loss", "train/accuracy", "train/margin", "train/grad_norm", "train/lr", "train/tokens"):
        assert all(name in row for row in rows), name
    assert [row["step"] for row in rows if "val/loss" in row] == [10, 20, 30, 40]
    assert {"val/accuracy", "val/margin"} <= rows[9].keys()
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert not list((root / "whole").glob("global_step_*"))


def test_an_interrupted_run_goes_on_bit_for_bit(setting):
    root, data = setting
    run = root / "interrupted"
    file = rm_config(root, data, run)
    lines = lambda: (run / "metrics.jsonl").read_text().count("\n") if (run / "metrics.jsonl").exists() else 0
    for step in (5, 17):
        newest = interrupt(file, run, lambda: lines() >= step, command="rm")
        assert json.loads((newest / "huggingface/config.json").read_text())["architectures"] == ["LlamaForSequenceClassification"]
    longshot("rm", file)
    assert metrics(run) == metrics(root / "whole")
    name = "huggingface/model.safetensors"
    assert (run / name).read_bytes() == (root / "whole" / name).read_bytes()


def test_a_reward_model_goes_on_and_a_language_model_becomes_one(setting, reasoner):
    root, data = setting
    for start in (root / "whole/huggingface", reasoner):
        run = root / f"from_{start.parent.name}"
        file = rm_config(root, data, run, steps=2)
        text = file.read_text()
        file.write_text(f'[model]\npath = "{start}"\nfreeze = ["model.embed_tokens.*"]\n' + text[text.index("[data]"):])
        longshot("rm", file)
        config = json.loads((run / "huggingface/config.json").read_text())
        assert config["architectures"] == ["LlamaForSequenceClassification"] and config["pad_token_id"] == 0
    dry = longshot("rm", file, "--dry-run")
    assert "150 training rows, " in dry.stderr and "0 of the 150 training rows are pairs" in dry.stderr


def evaluate(root, *arguments):
    longshot("rm-eval", *arguments, "--output", root / "figures.json", "--judgements", root / "judgements.jsonl")
    return (json.loads((root / "figures.json").read_text()),
            [json.loads(line) for line in (root / "judgements.jsonl").read_text().splitlines()])


def test_figures_of_a_model_that_scores(setting):
    root, data = setting
    figures, lines = evaluate(root, "--model", root / "whole/huggingface", "--data", data / "rm_val.jsonl")
    assert figures["kind"] == "classic" and figures["responses"] == figures["judged"] == len(lines) == 40
    assert figures["malformed"] == figures["failed"] == figures["error_rate"] == 0
    hits = [(line["probability"] > 0.5) == (line["label"] == 1) for line in lines]
    assert figures["accuracy"] == pytest.approx(sum(hits) / 40)
    brier = sum((line["probability"] - line["label"]) ** 2 for line in lines) / 40
    assert figures["brier"] == pytest.approx(brier)
    assert sum(b["count"] for b in figures["bins"]) == 40
    assert metrics(root / "whole")[-1]["val/accuracy"] == pytest.approx(figures["accuracy"])


def test_pairs_are_compared(setting):
    root, data = setting
    rows = [json.loads(line) for line in (data / "rm_val.jsonl").read_text().splitlines()]
    pairs = root / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"prompt": r["prompt"], "chosen": r["completion"], "rejected": "0"}) + "\n"
                             for r in rows))
    figures, lines = evaluate(root, "--model", root / "whole/huggingface", "--data", pairs)
    assert figures["pairs"] == 40 and len(lines) == 80 and "accuracy" not in figures
    wins = [a["score"] > b["score"] or 0.5 * (a["score"] == b["score"]) for a, b in zip(lines[::2], lines[1::2])]
    assert figures["pair_accuracy"] == pytest.approx(sum(wins) / 40)


def test_a_model_that_reasons_here_and_served_gives_the_same_verdicts(setting, reasoner):
    root, data = setting
    arguments = ("--data", data / "rm_val.jsonl", "--prompt", QUESTION_THEN_ANSWER, "--max-tokens", 60)
    here, lines = evaluate(root, "--model", reasoner, *arguments)
    assert here["kind"] == "chain of thought" and here["malformed"] + here["judged"] == 40
    assert here["judged"] > 0
    wrong = [line for line in lines if "error" in line]
    assert len(wrong) == here["malformed"] and all("malformed verdict" in line["error"] for line in wrong)
    assert here["error_rate"] == pytest.approx(len(wrong) / 40)
    with Server("--model", reasoner, "--served-model-name", "judge") as server:
        served, _ = evaluate(root, "--url", server.url, "--served-model", "judge", *arguments)
    for name in ("accuracy", "malformed", "judged", "brier", "auc"):
        assert served[name] == here[name], name


def test_votes_that_are_even_for_want_of_a_malformed_one_are_no_verdict(setting, reasoner):
    root, data = setting
    figures, lines = evaluate(root, "--model", reasoner, "--data", data / "rm_val.jsonl", "--prompt", QUESTION_THEN_ANSWER,
                              "--max-tokens", 60, "--votes", 3, "--temperature", 1)
    assert {round(3 * line["probability"], 9) for line in lines if "probability" in line} <= {0, 1, 2, 3}
    assert figures["malformed"] == sum("error" in line for line in lines) > 0


def test_malformed_verdicts_are_counted_apart(setting, reasoner):
    root, data = setting
    figures, lines = evaluate(root, "--model", reasoner, "--data", data / "rm_val.jsonl", "--prompt", QUESTION_THEN_ANSWER,
                              "--max-tokens", 3)
    assert figures["malformed"] == 40 and figures["error_rate"] == 1 and "accuracy" not in figures
    assert all("error" in line for line in lines)


def test_a_judge_that_does_not_answer_is_a_failure_and_no_verdict(setting):
    root, data = setting
    few = root / "few.jsonl"
    few.write_text("".join((data / "rm_val.jsonl").read_text().splitlines(keepends=True)[:3]))
    figures, judgements = root / "nothing.json", root / "nothing.jsonl"
    done = longshot("rm-eval", "--url", "http://127.0.0.1:1", "--data", few, "--timeout", 0.3, "--output", figures,
                    "--judgements", judgements, code=2)
    assert "no response could be judged" in done.stderr and "accuracy" not in done.stdout and not figures.exists()
    lines = [json.loads(line) for line in judgements.read_text().splitlines()]
    assert len(lines) == 3 and all("error" in line for line in lines)


@pytest.mark.parametrize("arguments, word", [
    ([], "--model or --url"),
    (["--model", "x", "--url", "http://127.0.0.1:1"], "--model or --url"),
    (["--model", "nowhere"], "nowhere"),
    (["--url", "http://127.0.0.1:1", "--votes", 2], "odd"),
    (["--url", "http://127.0.0.1:1", "--votes", 3], "--temperature"),
    (["--url", "http://127.0.0.1:1", "--threads", 2], "--threads"),
    (["--url", "http://127.0.0.1:1", "--prompt", "right?"], "{response}"),
])
def test_bad_arguments_are_named(setting, arguments, word):
    _, data = setting
    assert word in longshot("rm-eval", "--data", data / "rm_val.jsonl", *arguments, code=2).stderr


def test_a_second_run_on_one_folder_is_refused(setting):
    root, data = setting
    run = root / "in_use"
    assert_refused_while_in_use(rm_config(root, data, run), run, "rm")
    assert metrics(run) == metrics(root / "whole")


def test_bad_rows_are_named(setting):
    root, data = setting
    bad = root / "bad.jsonl"
    bad.write_text('{"prompt": "1+1=", "completion": "2", "label": 1}\n{"prompt": "1+1=", "completion": "2"}\n')
    for command in (["rm", rm_config(root, data, root / "never"), f"data.train_files=['{bad}']"],
                    ["rm-eval", "--model", root / "whole/huggingface", "--data", bad]):
        done = longshot(*command, code=2)
        assert f"{bad}:2" in done.stderr and "'label'" in done.stderr


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("policy"), steps=100)


def train_config(run, policy, reward, changes=None):
    return write_rl(run.with_suffix(".toml"), *policy,
                    {"data.val_files": None, "data.train_batch_size": 4, "reward.functions": [reward], "reward.threads": 4,
                     "algorithm.name": "grpo", "algorithm.mini_batches": 1, "optim.lr": 1e-3, "trainer.total_iterations": 2,
                     "trainer.log_samples": -1, **(changes or {})})


def samples(run):
    return [json.loads(line) for path in sorted((run / "samples").iterdir()) for line in path.read_text().splitlines()]


def test_grpo_on_the_scores_of_a_reward_model(setting, policy, tmp_path):
    root, _ = setting
    reward = {"type": "rm", "path": root / "whole/huggingface", "batch": 8, "reference": False}
    longshot("train", train_config(tmp_path / "a", policy, reward))
    longshot("train", train_config(tmp_path / "b", policy, reward))
    rows = metrics(tmp_path / "a")
    assert [row["step"] for row in rows][-2:] == [1, 2]
    judged = samples(tmp_path / "a")
    assert len(judged) == 32
    for sample in judged:
        assert sample["error"] == "" and 0 < sample["score"] < 1
        assert sample["correct"] == (sample["score"] > 0.5) and sample["components"] == {"rm": sample["score"]}
    assert len({sample["score"] for sample in judged}) > 8
    assert rows[-1]["actor/grad_norm"] > 0
    assert metrics(tmp_path / "b") == rows and samples(tmp_path / "b") == judged
    graded = longshot("grade", "--reward", json.dumps({"type": "rm", "path": str(root / "whole/huggingface"),
                                                         "reference": False}),
                      text_in=json.dumps({"prompt": judged[0]["prompt"], "completion": judged[0]["response"],
                                          "ground_truth": judged[0]["ground_truth"]}) + "\n")
    assert json.loads(graded.stdout)["score"] == judged[0]["score"]


class FakeJudge(http.server.BaseHTTPRequestHandler):
    """Its behaviour depends on the length of the request: a verdict, no verdict, an error, no answer in time."""
    KINDS = ("verdict", "malformed", "broken", "slow")
    asked, prompts = [], []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        kind = self.KINDS[len(prompt) % 4]
        FakeJudge.asked.append((kind, body["seed"]))
        FakeJudge.prompts.append(prompt)
        if kind == "slow":
            time.sleep(2)
        text = "It is. {\"correct\": true}" if kind == "verdict" else "I would say so."
        answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
        try:
            self.send_response(500 if kind == "broken" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:
            pass  # the client has disconnected

    def log_message(self, *_):
        pass


@pytest.fixture()
def fake_judge():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeJudge)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_judge_reads_the_whole_conversation(fake_judge, tmp_path):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Take 2."},
            {"role": "assistant", "content": "2"}, {"role": "user", "content": "Add 3."}]
    told = "system:\nBe brief.\n\nuser:\nTake 2.\n\nassistant:\n2\n\nuser:\nAdd 3."
    answer = "5" + "." * (-len(told) % 4 + 3)  # a length for which FakeJudge gives a verdict
    row = {"prompt": chat, "completion": answer, "ground_truth": "5", "label": True}
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row) + "\n" + json.dumps(dict(row, prompt="Add 3 to it.")) + "\n")
    judge = json.dumps({"type": "judge", "url": fake_judge, "prompt": "{question}{response}"})
    for command in (["grade", "--input", rows, "--reward", judge],
                    ["rm-eval", "--url", fake_judge, "--data", rows, "--prompt", "{question}{response}"]):
        FakeJudge.prompts.clear()
        longshot(*command)
        assert sorted(FakeJudge.prompts)[-1] == told + answer and f"Add 3 to it.{answer}" in FakeJudge.prompts


def test_a_failing_judge_never_scores_a_sample_as_wrong(policy, tmp_path, fake_judge):
    reward = {"type": "judge", "url": fake_judge, "prompt": "{response}", "tries": 2}
    longshot("train", train_config(tmp_path / "judged", policy, reward, {"reward.timeout": 0.5, "reward.retries": 1}))
    judged = samples(tmp_path / "judged")
    assert len(judged) == 32
    seen = set()
    for sample in judged:
        kind = FakeJudge.KINDS[len(sample["response"]) % 4]
        seen.add(kind)
        if kind == "verdict":
            assert sample["score"] == 1 and sample["correct"] and sample["error"] == ""
        else:
            assert sample["score"] is None
            pattern = {"malformed": "malformed", "broken": "500|time", "slow": "time"}[kind]
            assert re.search(pattern, sample["error"]), sample["error"]
    assert seen == set(FakeJudge.KINDS)
    rows = metrics(tmp_path / "judged")
    errors = sum(sample["error"] != "" for sample in judged)
    assert sum(row["reward/errors"] for row in rows[-2:]) == errors
    by_kind = {kind: [seed for k, seed in FakeJudge.asked if k == kind] for kind in FakeJudge.KINDS}
    assert len(set(by_kind["malformed"])) >= 2

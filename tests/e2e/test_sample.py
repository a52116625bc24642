"""longshot sample and longshot select: from problems to training rows, with a local model and with hostile servers."""
import json
import random
import signal
import subprocess
import time

import pytest

from completions import Completions, completion, slow
from support import LONGSHOT, ROOT, Server, longshot, tiny_model

QUICK = ["--ask-retries", 1, "--ask-timeout", 2]


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def samples_of(folder):
    return [sample for row in rows_of(folder / "samples.jsonl") for sample in row["samples"]]


def problems(path, count):
    """Problem i asks for i."""
    path.write_text("".join(json.dumps({"id": f"p{i}", "prompt": [{"role": "user", "content": f"Say {i}."}],
                                        "ground_truth": str(i)}) + "\n" for i in range(count)))
    return path


def right_answer(body):
    return body["messages"][-1]["content"].split()[-1].rstrip(".")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny"))


def test_a_local_run_is_what_eval_measures_and_continues_after_kill(model, tmp_path):
    directory, data = model
    command = ["sample", data / "val.jsonl", "--model", directory, "--n", 6, "--max-tokens", 48, "--seed", 4]
    longshot(*command, "--out", tmp_path / "whole", "--token-ids")
    whole = rows_of(tmp_path / "whole/samples.jsonl")
    assert [row["extra_info"]["index"] for row in whole] == list(range(60))
    for sample in samples_of(tmp_path / "whole"):
        assert len(sample["token_ids"]) == len(sample["logprobs"]) == sample["tokens"]
    longshot("eval", "--data", data / "val.jsonl", "--model", directory, "--n", 6, "--max-tokens", 48, "--seed", 4,
             "--temperature", 1, "--output", tmp_path / "eval.json")
    evaluated = json.loads((tmp_path / "eval.json").read_text())
    summary = json.loads((tmp_path / "whole/summary.json").read_text())
    assert summary["accuracy"] == pytest.approx(evaluated["accuracy"], abs=1e-12)
    assert 0 < summary["accuracy"] < 1
    for folder in killed(20, tmp_path, lambda folder: [*command, "--token-ids", "--out", folder]):
        for name in ("samples.jsonl", "summary.json"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def killed(kills, root, command_of):
    """Kills commands at so many instants, from their start to their end; yields the place of each one's output after the same
    command has continued it."""
    begin = time.monotonic()
    longshot(*command_of(root / "timed"))
    seconds, rng, done, runs = time.monotonic() - begin, random.Random(3), 0, 0
    while done < kills:
        assert runs < 5 * kills
        place = root / f"killed{runs}"
        process = subprocess.Popen([LONGSHOT, *map(str, command_of(place))], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * rng.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        done += process.wait() == -signal.SIGKILL
        runs += 1
        longshot(*command_of(place))
        yield place


def test_a_killed_selection_leaves_all_rows_or_none(tmp_path):
    """2,000 problems, so that the command takes long enough to be killed while it writes."""
    samples = [{"index": i, "response": "x" * (20 + 40 * i), "tokens": 20 + 40 * i, "correct": i % 3 != 2, "score": float(i % 3 != 2), "finish": "stop"}
               for i in range(8)]
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps({"id": f"p{i}", "prompt": f"{i}=", "samples": samples}) + "\n" for i in range(2000)))
    command = ["select", file, "--rule", "pairs", "--per-problem", 4, "--out"]
    longshot(*command, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    assert whole.count(b"\n") > 2000
    for out in killed(20, tmp_path, lambda place: [*command, place]):
        assert out.read_bytes() == whole


def test_other_settings_need_another_folder(model, tmp_path):
    directory, data = model
    command = ["sample", data / "val.jsonl", "--model", directory, "--max-tokens", 48, "--max-problems", 4, "--out",
               tmp_path / "out"]
    longshot(*command)
    done = longshot(*command, "--temperature", 0.5, code=2)
    assert "temperature was 1.0, now 0.5" in done.stderr
    longshot(*command, "--n", 3)  # more samples extend the run
    assert all(len(row["samples"]) == 3 for row in rows_of(tmp_path / "out/samples.jsonl"))


def test_from_samples_to_training(model, tmp_path):
    directory, data = model
    (tmp_path / "template.txt").write_text("{problem}")
    longshot("sample", data / "train.jsonl", "--model", directory, "--n", 8, "--max-tokens", 48, "--template",
             tmp_path / "template.txt", "--max-problems", 60, "--out", tmp_path / "out")
    samples = tmp_path / "out/samples.jsonl"
    by_id = {row["id"]: row for row in rows_of(samples)}
    for rule in ("correct", "shortest", "pairs"):
        out = tmp_path / f"{rule}.jsonl"
        first = longshot("select", samples, "--rule", rule, "--out", out, "--funnel", tmp_path / f"{rule}.json")
        content = out.read_bytes()
        longshot("select", samples, "--rule", rule, "--out", out)
        assert out.read_bytes() == content
        funnel = json.loads((tmp_path / f"{rule}.json").read_text())
        assert funnel["samples"] == 60 * 8 == funnel["samples_used"] + sum(funnel["dropped"].values())
        assert funnel["rows"] == len(rows_of(out)) > 0, first.stdout
    for row in rows_of(tmp_path / "shortest.jsonl"):
        correct = [s["tokens"] for s in by_id[row["id"]]["samples"] if s["correct"] and s["finish"] == "stop"]
        assert row["tokens"] == min(correct)
        assert row["prompt"] == by_id[row["id"]]["prompt"]
    for row in rows_of(tmp_path / "pairs.jsonl"):
        longer = row["rejected_tokens"] / row["chosen_tokens"]
        assert longer >= 1.5 if row["rejected_correct"] else longer > 1
    assert "prompt+completion" in longshot("data", "inspect", tmp_path / "correct.jsonl").stdout
    assert "prompt+chosen+rejected" in longshot("data", "inspect", tmp_path / "pairs.jsonl").stdout
    (tmp_path / "sft.toml").write_text(f"""
[model]
path = "{directory}"
[data]
train_files = ["{tmp_path}/correct.jsonl"]
max_length = 96
[trainer]
total_steps = 2
test_freq = 0
default_local_dir = "{tmp_path}/sft"
""")
    longshot("sft", tmp_path / "sft.toml")


def test_a_served_model_gives_token_ids_on_both_routes(model, tmp_path):
    directory, data = model
    with Server("--model", directory) as server:
        for api in ("chat", "completions"):
            extra = ["--tokenizer", directory] if api == "completions" else []
            longshot("sample", data / "val.jsonl", "--url", server.url, "--model",
                     "huggingface", "--api", api, *extra, "--max-problems", 5, "--n",
                     2, "--max-tokens", 24, "--token-ids", "--out", tmp_path / api)
    assert samples_of(tmp_path / "chat") == samples_of(tmp_path / "completions")
    for sample in samples_of(tmp_path / "chat"):
        assert len(sample["token_ids"]) == len(sample["logprobs"]) == sample["tokens"] > 0


def hostile(body, number):
    """Each kind of misbehaviour in turn; the retry of a failed request gets another one."""
    good = completion(right_answer(body))
    kinds = [good, (500, "oops"), None, (200, "<html>"), slow(3, good) if number == 4 else good, {"choices": []},
             (429, "{}"), completion("", finish="content_filter"), completion("cut", finish="length"),
             completion(None, refusal="I will not."), (200, json.dumps(good)[:40])]
    return kinds[number % len(kinds)]


def test_a_hostile_server_never_makes_a_wrong_answer(tmp_path):
    data = problems(tmp_path / "p.jsonl", 40)
    with Completions(hostile) as server:
        longshot("sample", data, "--url", server.url, "--model", "m", "--out", tmp_path / "out", *QUICK)
        rows = rows_of(tmp_path / "out/samples.jsonl")
        failed = [row["id"] for row in rows if "error" in row["samples"][0]]
        assert 5 < len(failed) < 35
        for row in rows:
            sample = row["samples"][0]
            if "error" in sample:
                assert "score" not in sample and "finish" not in sample
            else:
                assert sample["correct"] == (sample["finish"] == "stop")
        summary = json.loads((tmp_path / "out/summary.json").read_text())
        assert summary["errors"] == len(failed) == sum(summary["errors_by_reason"].values())
        asked = len(server.requests)
    with Completions(lambda body, _: completion(right_answer(body))) as sound:
        longshot("sample", data, "--url", sound.url, "--model", "m", "--out", tmp_path / "out", *QUICK)
        assert len(sound.requests) == len(failed)  # only what has failed is asked for again
    assert asked > 40
    assert not [s for s in samples_of(tmp_path / "out") if "error" in s]


def test_replicas_replace_one_another(tmp_path):
    with Completions(lambda *_: (503, "full")) as full, \
         Completions(lambda body, _: completion(right_answer(body), reasoning_content="hm")) as sound:
        longshot("sample", problems(tmp_path / "p.jsonl", 6), "--url", full.url, "--url", sound.url, "--n", 2, "--out",
                 tmp_path / "out", *QUICK)
        assert full.requests and len(sound.requests) == 12
        assert len({request["seed"] for request in sound.requests}) == 12
    for sample in samples_of(tmp_path / "out"):
        assert sample["correct"] and sample["response"].startswith("<think>\nhm\n</think>\n\n")


def test_a_run_in_which_everything_errs_fails(tmp_path):
    data = problems(tmp_path / "p.jsonl", 3)
    with Completions(lambda *_: (200, "no json")) as server:
        done = longshot("sample", data, "--url", server.url, "--out", tmp_path / "a", *QUICK, code=1)
        assert "all 3 of 3 samples have failed" in done.stderr
    with Completions(lambda *_: (401, "{}")) as server:
        done = longshot("sample", data, "--url", server.url, "--out", tmp_path / "b", *QUICK, code=2)
        assert "status 401" in done.stderr
    done = longshot("sample", data, "--url", server.url, "--out", tmp_path / "c", "--n", 8, "--max-errors", 3, *QUICK,
                    code=1)
    assert "3 samples in a row have failed" in done.stderr  # each prompt counts for one


def test_budgets_and_early_ends(tmp_path):
    data = problems(tmp_path / "p.jsonl", 10)
    with Completions(lambda body, number: completion(right_answer(body), tokens=10)) as server:
        command = ["sample", data, "--url", server.url, "--n", 2, *QUICK]
        done = longshot(*command, "--token-budget", 50, "--out", tmp_path / "budget")
        assert len(rows_of(tmp_path / "budget/samples.jsonl")) == 3
        assert "spent: 3 of 10 prompts" in done.stdout
        longshot(*command, "--out", tmp_path / "budget")
        assert len(rows_of(tmp_path / "budget/samples.jsonl")) == 10
        assert len(server.requests) == 20
        longshot(*command, "--until-correct", 1, "--out", tmp_path / "until")
        assert len(samples_of(tmp_path / "until")) == 10


def test_templates_and_examples(tmp_path):
    data = problems(tmp_path / "p.jsonl", 4)
    (tmp_path / "shots.jsonl").write_text("".join(
        json.dumps({"prompt": f"Say {i}.", "completion": f"It is {i}."}) + "\n" for i in range(4)))
    with Completions(lambda *_: completion("0")) as server:
        command = ["sample", data, "--url", server.url, *QUICK]
        longshot(*command, "--template", ROOT / "configs/prompts/few_shot.txt", "--examples", tmp_path / "shots.jsonl",
                 "--shots", 3, "--system", "Be brief.", "--out", tmp_path / "out")
        for request in server.requests:
            system, user = request["messages"]
            assert system == {"role": "system", "content": "Be brief."}
            text = user["content"]
            problem = text.split("Problem:\n")[-1].split("\n")[0]
            assert text.count("Solution:\nIt is") == 3
            assert text.count(problem) == 1  # never the problem itself as an example
        for name in ("long_cot", "direct"):
            done = longshot(*command, "--template", ROOT / f"configs/prompts/{name}.txt", "--dry-run", "--out",
                            tmp_path / "dry")
            assert "Say 0." in done.stdout
        assert not (tmp_path / "dry").exists()
        bad = longshot(*command, "--template", ROOT / "configs/prompts/few_shot.txt", "--out", tmp_path / "x", code=2)
        assert "{examples} needs --examples" in bad.stderr
    assert rows_of(tmp_path / "out/samples.jsonl")[0]["prompt"] == [{"role": "user", "content": "Say 0."}]


def test_bad_input_is_named(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": "a", "prompt": "x", "samples": []}\n{"id": "b", "prompt": "x", "samples": [{"index": "0"}]}\n')
    done = longshot("select", bad, "--out", tmp_path / "out.jsonl", code=2)
    assert f"{bad}:2: samples[0]: key 'index' has the wrong type" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
    assert "give --model DIR, or --url" in longshot("sample", bad, "--out", tmp_path / "o", code=2).stderr

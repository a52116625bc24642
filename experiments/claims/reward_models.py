"""Report, section 2.3.5: a classic and a Chain-of-Thought reward model, each as the reward of RL."""
import json

from harness import metrics
from paired import gap, interval

CLAIM = "RL gains more from a reward model that reasons than from a classic one (section 2.3.5)."
CRITERION = """2026-11-30, before the first run. The task is `check`: calculations of one to four steps. Both reward
models have 0.85 M parameters and are trained from nothing on the same 16,000 claimed results, as in
docs/reward-models.md. A third model of this size learns to answer such calculations at once, without a chain of thought,
from about 8,000 right answers. RL of it on at most 1,600 other problems, for 60 iterations, differs in the reward
only: `exact` compares with the right answer, `classic` and `cot` are the verdicts of the two reward models, which see
the question and the response but not the right answer. The curves are the true accuracy of four samples of each of 500
held-out problems. With 95 % intervals over the seeds:
(a) accuracy after 60 iterations, cot minus classic: interval above 0;
(b) accuracy after minus before, cot: interval above 0.
Accuracy after minus before for the other two, exact minus cot, and the accuracy of both reward models on 1,000 held-out
claims are shown without a criterion."""
ANALYSIS = """Written after the runs. (a): the verdicts of the classic model are hardly better than guessing, and RL
finds what it pays: its reward rises in every seed (on average from 0.51 to 0.56) while the true accuracy falls from
0.14 to 0.02. In one seed all responses end at the cap of 8 tokens. The model that reasons cannot be
satisfied in this way, and most of the accuracy stays. (b): nothing rises, because RL gains nothing on this task even
with the right answer as the reward. Its training reward stays where it is as well, at 0.08 to 0.15, so this is not a
matter of the verdicts. A model of this size that answers at once guesses, and 55 to 61 % of the groups have no variance.
That explanation was not tested. A policy that reasons, and reward models that read its whole response, would need a
criterion of their own."""
ARMS = ["exact", "classic", "cot"]
EXACT = '{"type": "exact", "pattern": "^([0-9]+)$"}'
LAST, EVERY = 60, 10


def make_data(harness):
    """Returns the folder for the reward models, and that for the model that answers."""
    rules, answers = harness.out / "check/rules", harness.out / "check/answers"
    for out, seed in ((rules, 1), (answers / "raw", 2)):
        harness.longshot(out / "alphabet.txt", "data", "make", "--task", "check", "--out", out, "--train", 0, "--val", 1000,
                         "--sft", 16000 if seed == 1 else 24000, "--seed", seed)
    known = {row["prompt"] for name in ("rm", "rm_val") for row in rows_of(rules / f"{name}.jsonl")}
    right = [row for row in rows_of(answers / "raw/rm.jsonl") if row["label"]]
    held_out = [row for row in rows_of(answers / "raw/rm_val.jsonl") if row["label"]][:500]
    cut = len(right) * 2 // 3
    fresh = [row for row in right[cut:] if row["prompt"] not in known][:1600]
    harness.write(answers / "sft.jsonl", lambda: text_of(right[:cut]))
    harness.write(answers / "train.jsonl", lambda: text_of(map(problem, fresh)))
    harness.write(answers / "val.jsonl", lambda: text_of(map(problem, held_out)))
    return rules, answers


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def text_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def problem(row):
    return {"data_source": "check", "prompt": [{"role": "user", "content": row["prompt"]}],
            "reward_model": {"style": "rule", "ground_truth": row["completion"]}}


def trained(harness, seed, command, config, name, data, rows):
    """A model of one of the configurations in configs/, trained on a file of rows."""
    run = harness.out / f"check/{name}_{seed}"
    return harness.longshot(run / "huggingface", command, f"configs/{config}.toml",
                            f"model.alphabet_file={data}/alphabet.txt", f"data.train_files=['{rows}']",
                            "data.val_files=[]", "trainer.test_freq=0", f"trainer.seed={seed}",
                            f"trainer.default_local_dir={run}")


def accuracy_of_verdicts(harness, seed, name, model, data, *options):
    output = harness.out / f"check/{name}_{seed}.json"
    harness.longshot(output, "rm-eval", "--model", model, "--data", data / "rm_val.jsonl", *options, "--output", output)
    return json.loads(output.read_text())["accuracy"]


def reinforce(harness, seed, arm, start, answers, *overrides):
    """RL with one reward; returns the curve of the true accuracy."""
    run = harness.out / f"check/{arm}_{seed}"
    origin = harness.origin(run)
    harness.longshot(run / f"global_step_{LAST}", "train", "experiments/configs/answers_rl.toml", f"model.path={start}",
                     f"data.train_files=['{answers}/train.jsonl']", f"data.val_files=['{answers}/val.jsonl']",
                     f"trainer.seed={seed}",
                     f"trainer.total_iterations={LAST}", f"trainer.save_freq={EVERY}",
                     f"trainer.default_local_dir={run}", *overrides)
    curve = {"iterations": [], "accuracy": [], "length": []}
    saved = [int(path.name.removeprefix("global_step_")) for path in run.glob("global_step_*") if not path.is_symlink()]
    for step in [0, *sorted(saved)]:
        model = run / f"global_step_{step}/huggingface" if step > 0 else start
        found = evaluate(harness, model, answers, run.with_name(f"{run.name}_{step}.json"))
        for key, value in (("iterations", step), ("accuracy", found["accuracy"]), ("length", found["mean_response_length"])):
            curve[key].append(value)
    paid = [row["critic/rewards/mean"] for row in metrics(run) if "critic/rewards/mean" in row]
    return {**curve, "reward_last": paid[-1], **origin}


def evaluate(harness, model, answers, output):
    """True accuracy of four samples of each held-out problem."""
    harness.longshot(output, "eval", "--model", model, "--data", answers / "val.jsonl", "--n", 4, "--temperature", 1,
                     "--max-tokens", 8, "--seed", 7, "--reward", EXACT, "--output", output)
    return json.loads(output.read_text())


def run(harness, seed):
    rules, answers = make_data(harness)
    classic = trained(harness, seed, "rm", "check_rm", "classic_rm", rules, rules / "rm.jsonl")
    cot = trained(harness, seed, "sft", "check_cot", "cot_rm", rules, rules / "sft.jsonl")
    start = trained(harness, seed, "sft", "check_cot", "start", rules, answers / "sft.jsonl")
    judged = ["--prompt", "{question}{response}?", "--max-tokens", 96]
    lines = [{"arm": "exact", **reinforce(harness, seed, "exact", start, answers)},
             {"arm": "classic", **reinforce(harness, seed, "classic", start, answers, functions(
                 {"type": "rm", "path": str(classic), "reference": False, "batch": 64}))}]
    product = harness.out / f"check/cot_{seed}/global_step_{LAST}"
    with harness.served(cot, f"check/cot_server_{seed}", product) as url:
        reward = {"type": "judge", "url": [url], "model": "judge", "prompt": judged[1], "temperature": 0, "max_tokens": 96}
        lines.append({"arm": "cot", **reinforce(harness, seed, "cot", start, answers, functions(reward),
                                                "reward.threads=64")})
    lines[1]["verdicts"] = accuracy_of_verdicts(harness, seed, "classic_rm", classic, rules)
    lines[2]["verdicts"] = accuracy_of_verdicts(harness, seed, "cot_rm", cot, rules, *judged)
    return lines


def functions(reward):
    """The override that sets one reward function."""
    fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in reward.items())
    return f"reward.functions=[{{ {fields} }}]"


def judge(lines):
    gain = {arm: interval([x["accuracy"][-1] - x["accuracy"][0] for x in lines if x["arm"] == arm]) for arm in ARMS}
    better = gap(lines, "cot", "classic", lambda x: x["accuracy"][-1])
    missing = gap(lines, "exact", "cot", lambda x: x["accuracy"][-1])
    return [("accuracy after RL, cot minus classic", better, better[1] > 0),
            ("accuracy after minus before, cot", gain["cot"], gain["cot"][1] > 0),
            ("accuracy after minus before, classic", gain["classic"], None),
            ("accuracy after minus before, exact", gain["exact"], None),
            ("accuracy after RL, exact minus cot", missing, None)] + [
                (f"right verdicts of the {arm} model", interval([x["verdicts"] for x in lines if x["arm"] == arm]), None)
                for arm in ("classic", "cot")]

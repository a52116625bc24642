"""Report, Figures 5 and 6: under RL accuracy and response length rise together, and where answers become longer they
become better."""
import json

from claims.search import search
from paired import interval, spearman

CLAIM = "Accuracy and response length rise together under RL where a longer search pays (Figures 5 and 6)."
CRITERION = """2026-11-28, before the first run. Over the seeds, with 95 % intervals by Student's t:
(a) held-out accuracy after 60 iterations minus that before: interval above 0;
(b) mean response length after minus before: interval above 0;
(c) mean over seeds of Spearman's correlation between accuracy and length over the seven evaluations: at least 0.8;
(d) of the held-out problems, the quarter whose responses grew most gained more accuracy than the quarter whose
    responses grew least: interval of the difference above 0."""
ANALYSIS = """Written after the runs. (c): accuracy and length rise together for the first half of the run and level off
together in the second, as the plots show; there a rank correlation counts small differences like large ones. (d): the
last row shows that wrong answers are longer than right ones after RL. The trained model searches until it finds x or
gives up, so the length of a problem grows most where its search still fails. That explains the sign, but was not
tested apart. A test of the report's Figure 6 on this task would have to cut responses at equal lengths instead."""
ARMS = ["kimi"]


def by_problem(path):
    """Problem id -> (accuracy, mean length) over its samples."""
    found = {}
    for text in path.read_text().splitlines():
        row = json.loads(text)
        found.setdefault(row["prompt_id"], []).append((row["correct"], row["tokens"]))
    return {key: tuple(sum(x) / len(x) for x in zip(*rows)) for key, rows in found.items()}


def tokens_by_outcome(path):
    """Mean tokens of right and of wrong samples."""
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    lengths = [[row["tokens"] for row in rows if row["correct"] == right] for right in (True, False)]
    return [sum(x) / len(x) for x in lengths]


def gain_by_growth(before, after):
    """Mean gain in accuracy of the quarter of problems whose length grew least, and of that which grew most."""
    changes = sorted((after[k][1] - before[k][1], after[k][0] - before[k][0]) for k in before)
    quarter = len(changes) // 4
    gains = [gain for _, gain in changes]
    return sum(gains[:quarter]) / quarter, sum(gains[-quarter:]) / quarter


def run(harness, seed):
    _, start = search.warm_up(harness, seed)
    curve = search.reinforce(harness, seed, "kimi")
    end = harness.out / f"search/kimi_{seed}/global_step_60/huggingface"
    before = by_problem(search.evaluate(harness, seed, start, "before"))
    samples = search.evaluate(harness, seed, end, "after")
    least, most = gain_by_growth(before, by_problem(samples))
    right, wrong = tokens_by_outcome(samples)
    return [{"arm": "kimi", **curve, "gain_least_growth": least, "gain_most_growth": most, "tokens_right": right,
             "tokens_wrong": wrong}]


def judge(lines):
    rise = interval([x["accuracy"][-1] - x["accuracy"][0] for x in lines])
    growth = interval([x["length"][-1] - x["length"][0] for x in lines])
    together = sum(spearman(x["accuracy"], x["length"]) for x in lines) / len(lines)
    by_growth = interval([x["gain_most_growth"] - x["gain_least_growth"] for x in lines])
    return [("accuracy after minus before", rise, rise[1] > 0), ("tokens after minus before", growth, growth[1] > 0),
            ("rank correlation of accuracy and length", together, together >= 0.8),
            ("gain where length grew most minus where least", by_growth, by_growth[1] > 0),
            ("tokens of wrong answers minus right ones, after RL",
             interval([x["tokens_wrong"] - x["tokens_right"] for x in lines]), None)]

"""Report, section 2.6.2: partial rollouts, a budget of output tokens for each iteration."""
from statistics import fmean

from claims.search import search
from harness import metrics
from paired import gap, interval

CLAIM = "Partial rollouts make iterations shorter at the same quality for the same tokens (section 2.6.2)."
CRITERION = """2026-11-28, before the first run. `whole` is figure5's run, whose iterations wait for the longest
response. `partial` ends an iteration after 12,288 output tokens and continues unfinished responses in the next one; it
has 120 iterations, which generate about as many tokens, and two optimizer steps in each in place of four, so that a
step has about as many groups. The length of an iteration is its number of passes of the rollout engine, in each of
which every sample in flight advances by one token; unlike seconds it has no noise of the machine. Over the seeds, with
95 % intervals:
(a) mean passes of an iteration, partial divided by whole: upper end below 0.7;
(b) the longest iteration, partial divided by whole: upper end below 0.8;
(c) held-out accuracy, partial minus whole, at the number of generated tokens that both have reached: lower end at least
    -0.03.
The same difference halfway is shown without a criterion."""
ANALYSIS = """Written after the runs. (a) and (c) hold. (b): the
longest iteration is longer than without a budget. About 75 of the 120 iterations spend their budget and train on 2 to 4
complete groups on average, 31 to 41 of them on none; the other 45 do not spend it, wait for their longest response like any
iteration, read the prefixes of continued ones besides, and train on 32 groups. The reason is the replay buffer: it
holds 32 groups by default, unfinished ones included, so after an iteration that spent its budget few or no new prompts
begin. One run beside the criterion (seed 1, `replay.max_groups=64`) spent its budget in 119 of 120 iterations, took 75
to 143 passes in each from the eleventh on, and ended at 0.656, where `partial` has 0.604 and `whole` 0.578; one seed
shows no difference in accuracy; `partial_reserve` repeats it with five seeds. Since then a budget has
twice the batch's groups by default, and this claim sets the 32 of its runs."""
X = ("generated", "generated tokens, millions")  # of the plot
ARMS = {"whole": ("kimi", 60, ()),
        "partial": ("partial", 120, ("rollout.token_budget=12288", "algorithm.mini_batches=2", "trainer.test_freq=20",
                                    "replay.max_groups=32"))}


def run(harness, seed, arms=ARMS):
    lines = []
    for arm, (name, last, overrides) in arms.items():
        curve = search.reinforce(harness, seed, name, *overrides, last=last)
        rows = metrics(harness.out / f"search/{name}_{seed}")
        lines.append({"arm": arm, **curve, **rollouts(rows, curve["iterations"])})
    return lines


def rollouts(rows, iterations):
    """Millions of tokens generated until each evaluation, and passes of the iterations: mean and largest."""
    tokens = {int(row["step"]): row["rollout/generated_tokens"] for row in rows if "rollout/generated_tokens" in row}
    passes = [row["rollout/decode_steps"] for row in rows if "rollout/decode_steps" in row]
    return {"generated": [sum(n for step, n in tokens.items() if step <= i) / 1e6 for i in iterations],
            "passes_mean": fmean(passes), "passes_max": max(passes)}


def at(line, generated):
    """Accuracy after `generated` million tokens, interpolated between evaluations."""
    points = list(zip(line["generated"], line["accuracy"]))
    for (a, u), (b, v) in zip(points, points[1:]):
        if generated <= b:
            return u + (v - u) * (generated - a) / (b - a)
    return points[-1][1]


def judge(lines):
    pairs = {seed: {x["arm"]: x for x in lines if x["seed"] == seed} for seed in {x["seed"] for x in lines}}
    ends = {seed: min(x["generated"][-1] for x in pair.values()) for seed, pair in pairs.items()}
    mean, longest = (interval([p["partial"][key] / p["whole"][key] for p in pairs.values()])
                     for key in ("passes_mean", "passes_max"))
    end, half = (gap(lines, "partial", "whole", lambda x: at(x, share * ends[x["seed"]])) for share in (1, 0.5))
    return [("passes of an iteration, partial / whole", mean, mean[2] < 0.7),
            ("longest iteration, partial / whole", longest, longest[2] < 0.8),
            ("accuracy at equal tokens, partial minus whole", end, end[1] >= -0.03),
            ("accuracy at half of these tokens, partial minus whole", half, None)]

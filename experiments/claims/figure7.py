"""Report, Figure 7: ways from a model with long chains of thought to one that needs fewer tokens (long2short)."""
from statistics import fmean

from claims import search
from efficiency import accuracy, curve, excess, mean_tokens, read_samples
from paired import gap, interval

CLAIM = "Long2short RL is the most token-efficient, above DPO, merging with rejection sampling, and merging (Figure 7)."
CRITERION = """2026-11-28, before the first run. The long model is that of figure5 after 60 iterations; the short one is
figure5's warm-up trained further on traces of one or two tries. All models answer the held-out problems four times at
temperature 1 with at most 256 tokens. The token efficiency of a method is its accuracy minus that of the long model cut
at the budget at which its responses have the same mean length; a response that is cut has no answer. A method that is
no better than cutting has 0. Each method that needs samples gets 6,400 of them. Paired over the seeds, with 95 %
intervals:
(a) the efficiency of RL minus that of each of DPO, merging with rejection sampling, and merging: intervals above 0;
(b) the means over the seeds are in the report's order: DPO above merging with rejection sampling, and that above
    merging;
(c) mean response length of the long model minus that after long2short RL: interval above 0.
Rejection sampling without merging, and the short model, are shown without a criterion."""
ANALYSIS = """Written after the runs. Long2short RL kept the accuracy (0.48 to 0.63 before, 0.53 to 0.63
after) and hardly shortened anything, so there was little to be efficient with: its 25 iterations at a length weight of
0.2 move the mean length by 0.8 tokens of 126. Merging with the short model halves the length for 3 to 17 points of
accuracy, which is far above cutting the long model; the short model alone, the baseline here, is as efficient. DPO
broke the model: it answers 4 to 10 % right, and the samples of two seeds repeat numbers that were tried and lose the
form of a trace. Its pairs prefer a short lucky search to a long one whose steps are as sound, and a trace's next
number is random, so the preference is about luck. That explanation was not tested, nor were other weights, rates or
numbers of iterations: they would need criteria of their own."""
ARMS = ["long", "short", "merge", "merge_rs", "rs", "dpo", "rl"]
REPORTED = ["dpo", "merge_rs", "merge"]  # below RL, in the report's order
ITERATIONS = 25  # of 32 groups of 8, as many samples as 8 of each of 800 problems


def long_model(harness, seed):
    search.reinforce(harness, seed, "kimi")  # figure5's run
    return search.trained(harness, seed, "kimi")


def sample(harness, seed, model, name):
    """Eight judged samples of each of 800 training problems."""
    out = harness.out / f"search/{name}_{seed}"
    problems = search.make_data(harness) / "train.jsonl"
    return harness.longshot(out / "samples.jsonl", "sample", problems, "--model", model, "--n", 8,
                            "--max-problems", 800, "--max-tokens", 256, "--seed", seed, "--reward", search.REWARD,
                            "--out", out)


def select(harness, samples, rule, *options):
    """Training rows beside the samples."""
    rows = samples.with_name(f"{rule}.jsonl")
    return harness.longshot(rows, "select", samples, "--rule", rule, *options, "--out", rows)


def shortest(harness, seed, model, name):
    """Shortest rejection sampling: the model trained on the shortest right one of its eight samples of each problem."""
    rows = select(harness, sample(harness, seed, model, f"{name}_samples"), "shortest")
    return search.tune(harness, harness.out / f"search/{name}_{seed}", model, rows, seed)


def prefer_short(harness, seed, model):
    rows = select(harness, sample(harness, seed, model, "rs_samples"), "pairs", "--per-problem", 4)
    run = harness.out / f"search/dpo_{seed}"
    return harness.longshot(run / "huggingface", "dpo", "experiments/configs/search_dpo.toml", f"model.path={model}",
                            f"data.train_files=['{rows}']", f"trainer.seed={seed}", f"trainer.default_local_dir={run}")


def shorten(harness, seed, model):
    """The second phase of RL: with the length reward, and responses of half the length."""
    search.reinforce(harness, seed, "long2short", "data.max_response_length=128", "reward.length_weight=0.2",
                     f"trainer.save_freq={ITERATIONS}", "trainer.test_freq=0", "trainer.val_before_train=false",
                     last=ITERATIONS, start=(search.make_data(harness), model))
    return search.trained(harness, seed, "long2short", ITERATIONS)


def models(harness, seed):
    long, short = long_model(harness, seed), search.short_model(harness, seed)
    merged = harness.out / f"search/merge_{seed}"
    harness.longshot(merged, "merge", "--model", long, "--model", short, "--weight", 0.5, "--output", merged)
    return {"long": long, "short": short, "merge": merged, "merge_rs": shortest(harness, seed, merged, "merge_rs"),
            "rs": shortest(harness, seed, long, "rs"), "dpo": prefer_short(harness, seed, long),
            "rl": shorten(harness, seed, long)}


def run(harness, seed):
    origin = harness.origin(harness.out / f"search/figure7_{seed}")
    names = {"long": "after"}  # figure5's samples
    samples = {arm: read_samples(search.evaluate(harness, seed, model, names.get(arm, arm)))
               for arm, model in models(harness, seed).items()}
    lines = [{"arm": arm, "accuracy": accuracy(own), "length": mean_tokens(own),
              "efficiency": excess(own, samples["long"]), **origin} for arm, own in samples.items()]
    lines[0]["cut"] = curve(samples["long"], range(0, 257, 16))
    return lines


def judge(lines):
    out = []
    for other in REPORTED + ["rs", "short"]:
        more = gap(lines, "rl", other, lambda x: x["efficiency"])
        out.append((f"efficiency of rl minus {other}", more, more[1] > 0 if other in REPORTED else None))
    means = {arm: fmean(x["efficiency"] for x in lines if x["arm"] == arm) for arm in ARMS}
    out += [(f"efficiency of {better} minus {worse}, mean", means[better] - means[worse], means[better] > means[worse])
            for better, worse in zip(REPORTED, REPORTED[1:])]
    shorter = gap(lines, "long", "rl", lambda x: x["length"])
    out.append(("tokens of long minus rl", shorter, shorter[1] > 0))
    return out + [(f"efficiency of {arm}", interval([x["efficiency"] for x in lines if x["arm"] == arm]), None)
                  for arm in ARMS[1:]]

"""The ways of Figure 7 from a model with long chains of thought to one that needs fewer tokens, on a task `search`."""
from statistics import fmean

from claims.search import REWARD
from efficiency import accuracy, curve, excess, mean_tokens, read_samples
from paired import gap, interval

ARMS = ["long", "short", "merge", "merge_rs", "rs", "dpo", "rl"]
REPORTED = ["dpo", "merge_rs", "merge"]  # below RL, in the report's order


def sample(harness, search, seed, model, name):
    """Eight judged samples of each of the first training problems."""
    out = search.path(harness, f"{name}_{seed}")
    problems = search.make_data(harness) / "train.jsonl"
    return harness.longshot(out / "samples.jsonl", "sample", problems, "--model", model, "--n", 8,
                            "--max-problems", search.sampled, "--max-tokens", 256, "--seed", seed, "--reward", REWARD,
                            "--out", out)


def select(harness, samples, rule, *options):
    """Training rows beside the samples."""
    rows = samples.with_name(f"{rule}.jsonl")
    return harness.longshot(rows, "select", samples, "--rule", rule, *options, "--out", rows)


def shortest(harness, search, seed, model, name):
    """Shortest rejection sampling: the model trained on the shortest right one of its eight samples of each problem."""
    rows = select(harness, sample(harness, search, seed, model, f"{name}_samples"), "shortest")
    return search.tune(harness, search.path(harness, f"{name}_{seed}"), model, rows, seed)


def prefer_short(harness, search, seed, model):
    rows = select(harness, sample(harness, search, seed, model, "rs_samples"), "pairs", "--per-problem", 4)
    run = search.path(harness, f"dpo_{seed}")
    return harness.longshot(run / "huggingface", "dpo", "experiments/configs/search_dpo.toml", f"model.path={model}",
                            f"data.train_files=['{rows}']", f"trainer.seed={seed}", f"trainer.default_local_dir={run}")


def second_phase(harness, search, seed, model, iterations, *overrides):
    """RL with the length reward from the long model on."""
    search.reinforce(harness, seed, "long2short", *overrides, f"trainer.save_freq={iterations}", "trainer.test_freq=0",
                     "trainer.val_before_train=false", last=iterations, start=(search.make_data(harness), model))
    return search.trained(harness, seed, "long2short", iterations)


def models(harness, search, seed, long, shortened):
    """The model of each arm; `shortened` is that of RL."""
    short = search.short_model(harness, seed)
    merged = search.path(harness, f"merge_{seed}")
    harness.longshot(merged, "merge", "--model", long, "--model", short, "--weight", 0.5, "--output", merged)
    return {"long": long, "short": short, "merge": merged,
            "merge_rs": shortest(harness, search, seed, merged, "merge_rs"),
            "rs": shortest(harness, search, seed, long, "rs"), "dpo": prefer_short(harness, search, seed, long),
            "rl": shortened}


def results(harness, search, seed, arms, origin):
    """Lines of results from the models of the arms."""
    names = {"long": "after"}  # figure5's samples
    samples = {arm: read_samples(search.evaluate(harness, seed, model, names.get(arm, arm)))
               for arm, model in arms.items()}
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

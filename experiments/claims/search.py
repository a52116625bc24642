"""The task that the claims share: find x in 1..10 with (a x + b) mod m = t. One warm-up a seed."""


def warm_up(harness, seed):
    """Returns the folder of the data and the model after the warm-up of this seed."""
    data = harness.out / "search/data"
    harness.longshot(data / "alphabet.txt", "data", "make", "--task", "search", "--out", data, "--train", 1600, "--val", 300,
                     "--sft", 30000, "--seed", 1)
    run = harness.out / f"search/sft_{seed}"
    harness.longshot(run / "huggingface", "sft", "experiments/configs/search_sft.toml", f"model.alphabet_file={data}/alphabet.txt",
                     f"data.train_files=['{data}/sft.jsonl']", f"trainer.seed={seed}", f"trainer.default_local_dir={run}")
    return data, run / "huggingface"


def reinforce(harness, seed, name, *overrides, last=60):
    """RL from this seed's warm-up, in a folder of the given name; returns its held-out evaluations."""
    data, model = warm_up(harness, seed)
    return harness.train("search_rl.toml", harness.out / f"search/{name}_{seed}", last, f"model.path={model}",
                         f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                         f"trainer.seed={seed}", f"trainer.total_iterations={last}", *overrides)


def evaluate(harness, seed, model, name):
    """Four samples of each held-out problem at temperature 1; returns the file of samples."""
    data, _ = warm_up(harness, seed)
    samples = harness.out / f"search/{name}_{seed}.samples.jsonl"
    return harness.longshot(samples, "eval", "--model", model, "--data", data / "val.jsonl", "--n", 4, "--temperature", 1,
                            "--max-tokens", 256, "--seed", 7, "--reward", '{"type": "exact", "pattern": "#([0-9]+)$"}',
                            "--samples", samples)

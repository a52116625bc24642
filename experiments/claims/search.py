"""The task that the claims share: find x in 1..10 with (a x + b) mod m = t. One warm-up a seed."""
import json

REWARD = '{"type": "exact", "pattern": "#([0-9]+)$"}'


def make_data(harness):
    """Returns the folder of the data, which are the same for all seeds."""
    data = harness.out / "search/data"
    harness.longshot(data / "alphabet.txt", "data", "make", "--task", "search", "--out", data, "--train", 1600,
                     "--val", 300, "--sft", 30000, "--seed", 1)
    return data


def warm_up(harness, seed, name="sft", data=None, *overrides):
    """Returns the folder of the data and the model after the warm-up of this seed, in a folder of the given name."""
    data = data or make_data(harness)
    run = harness.out / f"search/{name}_{seed}"
    harness.longshot(run / "huggingface", "sft", "experiments/configs/search_sft.toml",
                     f"model.alphabet_file={data}/alphabet.txt", f"data.train_files=['{data}/sft.jsonl']",
                     f"trainer.seed={seed}", f"trainer.default_local_dir={run}", *overrides)
    return data, run / "huggingface"


def reinforce(harness, seed, name, *overrides, last=60, start=None):
    """RL in a folder of the given name; returns its held-out evaluations. `start` is the data and the model to begin
    with, by default those of this seed's warm-up."""
    data, model = start or warm_up(harness, seed)
    return harness.train("search_rl.toml", harness.out / f"search/{name}_{seed}", last, f"model.path={model}",
                         f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                         f"trainer.seed={seed}", f"trainer.total_iterations={last}", *overrides)


def trained(harness, seed, name, last=60):
    """The model at the end of such a run."""
    return harness.out / f"search/{name}_{seed}/global_step_{last}/huggingface"


def evaluate(harness, seed, model, name):
    """Four samples of each held-out problem at temperature 1; returns the file of samples."""
    data = make_data(harness)
    samples = harness.out / f"search/{name}_{seed}.samples.jsonl"
    return harness.longshot(samples, "eval", "--model", model, "--data", data / "val.jsonl", "--n", 4,
                            "--temperature", 1, "--max-tokens", 256, "--seed", 7, "--reward", REWARD,
                            "--samples", samples)


def short_model(harness, seed):
    """The warm-up trained further on the traces of its data that try one or two numbers, about 60 % of them."""
    data, model = warm_up(harness, seed)
    short = harness.write(harness.out / "search/short.jsonl", lambda: short_traces(data / "sft.jsonl"))
    return tune(harness, harness.out / f"search/short_{seed}", model, short, seed, "sft.batch_tokens=6144",
                "trainer.total_epochs=1")


def short_traces(path):
    """The rows whose completion tries at most two numbers; a colon follows each of them."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if json.loads(line)["completion"].count(":") <= 2)


def tune(harness, run, model, rows, seed, *overrides):
    """Trains a model further on rows of prompts and completions; returns the new model."""
    return harness.longshot(run / "huggingface", "sft", "experiments/configs/search_tune.toml", f"model.path={model}",
                            f"data.train_files=['{rows}']", f"trainer.seed={seed}", f"trainer.default_local_dir={run}",
                            *overrides)

"""The task that the claims share: find x with (a x + b) mod m = t. One warm-up a seed."""
import dataclasses
import json

REWARD = '{"type": "exact", "pattern": "#([0-9]+)$"}'


@dataclasses.dataclass(frozen=True)
class Search:
    """The commands of a task whose data, models and runs are in one folder of the harness."""
    folder: str = "search"
    numbers: int = 10  # x is 1 to this
    problems: int = 1600  # for RL
    sampled: int = 800  # of them, for methods that train on samples

    def path(self, harness, name):
        return harness.out / self.folder / name

    def make_data(self, harness):
        """Returns the folder of the data, which are the same for all seeds."""
        data = self.path(harness, "data")
        harness.longshot(data / "alphabet.txt", "data", "make", "--task", "search", "--levels",
                         f"{self.numbers}-{self.numbers}", "--out", data, "--train", self.problems, "--val", 300,
                         "--sft", 30000, "--seed", 1)
        return data

    def traces(self, data):
        """The rows of the warm-up."""
        return data / "sft.jsonl"

    def warm_up(self, harness, seed, name="sft", data=None, *overrides):
        """Returns the folder of the data and the model after the warm-up of this seed, in a folder of the given
        name."""
        data = data or self.make_data(harness)
        run = self.path(harness, f"{name}_{seed}")
        harness.longshot(run / "huggingface", "sft", "experiments/configs/search_sft.toml",
                         f"model.alphabet_file={data}/alphabet.txt", f"data.train_files=['{self.traces(data)}']",
                         f"trainer.seed={seed}", f"trainer.default_local_dir={run}", *overrides)
        return data, run / "huggingface"

    def reinforce(self, harness, seed, name, *overrides, last=60, start=None):
        """RL in a folder of the given name; returns its held-out evaluations. `start` is the data and the model to
        begin with, by default those of this seed's warm-up."""
        data, model = start or self.warm_up(harness, seed)
        return harness.train("search_rl.toml", self.path(harness, f"{name}_{seed}"), last, f"model.path={model}",
                             f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']",
                             f"trainer.seed={seed}", f"trainer.total_iterations={last}", *overrides)

    def trained(self, harness, seed, name, last=60):
        """The model at the end of such a run."""
        return self.path(harness, f"{name}_{seed}/global_step_{last}/huggingface")

    def evaluate(self, harness, seed, model, name):
        """Four samples of each held-out problem at temperature 1; returns the file of samples."""
        data = self.make_data(harness)
        samples = self.path(harness, f"{name}_{seed}.samples.jsonl")
        return harness.longshot(samples, "eval", "--model", model, "--data", data / "val.jsonl", "--n", 4,
                                "--temperature", 1, "--max-tokens", 256, "--seed", 7, "--reward", REWARD,
                                "--samples", samples)

    def short_model(self, harness, seed):
        """The warm-up trained further on the traces of the data that try one or two numbers."""
        data, model = self.warm_up(harness, seed)
        short = harness.write(self.path(harness, "short.jsonl"), lambda: short_traces(data / "sft.jsonl"))
        return self.tune(harness, self.path(harness, f"short_{seed}"), model, short, seed, "sft.batch_tokens=6144",
                         "trainer.total_epochs=1")

    def tune(self, harness, run, model, rows, seed, *overrides):
        """Trains a model further on rows of prompts and completions; returns the new model."""
        return harness.longshot(run / "huggingface", "sft", "experiments/configs/search_tune.toml",
                                f"model.path={model}", f"data.train_files=['{rows}']", f"trainer.seed={seed}",
                                f"trainer.default_local_dir={run}", *overrides)


def short_traces(path):
    """The rows whose completion tries at most two numbers; a colon follows each of them."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if json.loads(line)["completion"].count(":") <= 2)


search = Search()

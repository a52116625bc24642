"""Steps of TRL's DPOTrainer on a CPU, f32. Each request is one step of a training run that pauses between requests; answers
{"seconds", "loss", "peak_bytes"}. options: model, threads, pairs (a JSONL file of prompt_ids, chosen_ids, rejected_ids),
batch, precomputed (the reference's log-probabilities are given, as 0), checkpointing (of activations).

With options["agree"] it computes the loss of all rows of a text data set once, against another model as the reference, writes
the gradients to a file and answers {"metrics"}."""

import importlib.metadata
import json
import os
import resource
import sys
import tempfile
import time

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
options = json.loads(sys.argv[1])

import torch  # noqa: E402
import transformers  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

torch.set_num_threads(options["threads"])
tokenizer = AutoTokenizer.from_pretrained(options["model"])
model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32)


def answer(value):
    print(json.dumps(value), file=answers)


def read(path):
    return [json.loads(line) for line in open(path)]


def arguments(batch, **changes):
    return DPOConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=batch, report_to=[], use_cpu=True, bf16=False,
                     save_strategy="no", disable_tqdm=True, logging_steps=1, dataloader_pin_memory=False, max_length=None,
                     **changes)


class Tokenized(DPOTrainer):
    """Its rows are token ids already."""

    def _prepare_dataset(self, dataset, *_):
        return dataset

    def _precompute_ref_logps(self, dataset, *_):
        zeros = [0.0] * len(dataset)
        return dataset.add_column("ref_chosen_logps", zeros).add_column("ref_rejected_logps", zeros)


class Steps(transformers.TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if not sys.stdin.readline():
            os._exit(0)
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        self.seconds = time.perf_counter() - self.start

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            answer({"seconds": self.seconds, "loss": logs["loss"],
                    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})


def agree(request):
    from safetensors.torch import save_file

    rows = read(request["rows"])
    trainer = DPOTrainer(model=model, ref_model=AutoModelForCausalLM.from_pretrained(request["reference"], dtype=torch.float32),
                         args=arguments(len(rows), beta=request["beta"], loss_type=[request["loss"]], max_steps=1,
                                        label_smoothing=request["label_smoothing"], gradient_checkpointing=False),
                         train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.model.train()
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    save_file({name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None},
              request["gradients"])
    metrics = {name: sum(values) / len(values) for name, values in trainer._metrics["train"].items()}
    answer({"metrics": {**metrics, "train/loss": loss.item()}})


answer({"ready": f"trl {importlib.metadata.version('trl')}"})
if "agree" in options:
    agree(options["agree"])
else:
    rows = read(options["pairs"])
    trainer = Tokenized(model=model, processing_class=tokenizer, train_dataset=Dataset.from_list(rows), callbacks=[Steps()],
                        args=arguments(options["batch"], max_steps=len(rows) // options["batch"], learning_rate=1e-9,
                                       precompute_ref_log_probs=options["precomputed"],
                                       gradient_checkpointing=options["checkpointing"]))
    trainer.train()

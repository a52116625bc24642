"""One GRPO step with TRL on a CPU: generation, reward, and one optimizer step. Each request is one step of a training run
that pauses between requests; answers {"seconds", "useful_tokens", "generate_seconds", "peak_bytes"}.

Uses the fastest settings measured: micro-batches of 8 completions, no gradient checkpointing, no reference model."""

import functools
import importlib.metadata
import json
import os
import random
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
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

torch.set_num_threads(options["threads"])
torch.manual_seed(0)
random.seed(0)


def character_tokenizer(vocab_size):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    vocab = {t: i for i, t in enumerate(special + [chr(c) for c in range(32, 127)])}
    for i in range(len(vocab), vocab_size):
        vocab[f"<x{i}>"] = i
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>",
                                   unk_token="<unk>")


if "shape" in options:
    tokenizer = character_tokenizer(options["shape"]["vocab_size"])
    model = LlamaForCausalLM(LlamaConfig(**options["shape"], pad_token_id=0, eos_token_id=1, bos_token_id=2))
else:
    tokenizer = transformers.AutoTokenizer.from_pretrained(options["model"])
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32)
prompts, samples, response = options["groups"], options["samples"], options["response"]


def prompt_text():
    text = "".join(random.choice("0123456789") for _ in range(options["prompt"]))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:options["prompt"]]
    return tokenizer.decode(ids)


rows = [{"prompt": prompt_text()} for _ in range(prompts * (options["most_steps"] + 1))]
generating = 0.0


def timed(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        global generating
        start = time.perf_counter()
        result = function(*args, **kwargs)
        generating += time.perf_counter() - start
        return result

    return wrapper


class Steps(transformers.TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        global generating
        if not sys.stdin.readline():
            os._exit(0)
        generating, self.start = 0.0, time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):
        seconds = time.perf_counter() - self.start
        print(json.dumps({"seconds": seconds, "generate_seconds": generating, "useful_tokens": prompts * samples * response,
                          "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), file=answers)


arguments = GRPOConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=8,
                       gradient_accumulation_steps=prompts * samples // 8, num_generations=samples,
                       max_completion_length=response, max_steps=options["most_steps"], report_to=[], use_cpu=True,
                       bf16=False, beta=0.0, save_strategy="no", generation_kwargs={"min_new_tokens": response},
                       temperature=1.0, top_k=0, gradient_checkpointing=False, learning_rate=1e-9, disable_tqdm=True)
trainer = GRPOTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer,
                      reward_funcs=lambda completions, **_: [sum(c.isdigit() for c in t) / response for t in completions],
                      callbacks=[Steps()])
trainer.model.generate = timed(trainer.model.generate)
print(json.dumps({"ready": f"trl {importlib.metadata.version('trl')}"}), file=answers)
trainer.train()

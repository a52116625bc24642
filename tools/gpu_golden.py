#!/usr/bin/env python3
"""Writes the reference data for a trial on another machine: tiny models of each architecture, their log-probabilities and
gradients computed by transformers in 64 bits, and the rows and shape of the SmolLM2 run. Called by tools/gpu_bundle.

  gpu_golden.py BUNDLE
"""
import copy
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))

import packages  # noqa: E402
import test_model  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import AutoConfig, AutoTokenizer  # noqa: E402


def write_model(name, folder):
    """Writes the model, rows, log-probabilities (expected.json) and the gradient of their sum (gradient.safetensors)."""
    model = test_model.random_model(name)
    model.save_pretrained(folder / "model")
    rows = test_model.random_rows(test_model.TINY["vocab_size"])
    test_model.write_rows(folder / "rows.jsonl", rows)
    exact = copy.deepcopy(model).double()
    logprobs = []
    for row in rows:
        values = test_model.reference_logprobs(exact, row)
        logprobs.append(values.tolist())
        if len(row) > 1:
            values.sum().backward()
    (folder / "expected.json").write_text(json.dumps(logprobs))
    # Tied weights have one gradient, under their name in the model file.
    gradients = {key: p.grad.float().contiguous() for key, p in exact.named_parameters()}
    save_file(gradients, folder / "gradient.safetensors")


def write_smollm2(folder):
    """Writes SmolLM2-135M-Instruct without its weights, and rows of reasoning_gym's chain_sum."""
    folder.mkdir()
    gguf = packages.smollm2_gguf()
    config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config.architectures = ["LlamaForCausalLM"]
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder / "model")
    subprocess.run([sys.executable, ROOT / "tools/export_reasoning_gym.py", "--task", "chain_sum", "--size", "512",
                    "--seed", "7", "--out", folder / "train.jsonl", "--val-size", "64", "--val-out",
                    folder / "val.jsonl"], check=True, stdout=subprocess.DEVNULL)


def main():
    bundle = pathlib.Path(sys.argv[1])
    for name in test_model.ARCHITECTURES:
        folder = bundle / "golden" / name
        folder.mkdir(parents=True)
        write_model(name, folder)
    write_smollm2(bundle / "smollm2")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures how far the log-probabilities of a rollout in rounded numbers are from the f32 ones of the trainer's forward pass.

usage: format_gap.py LONGSHOT MODEL [SAMPLES [TOKENS]]
Samples at temperature 1 with each number format, then asks `longshot logprobs` for the same tokens.
"""
import json
import subprocess
import sys

PROMPT = "The three primary colours are red, yellow and blue. Mixing them gives"
FORMATS = [("float32", "float32"), ("bfloat16", "float32"), ("int8", "float32"), ("int4", "float32"),
           ("float32", "bfloat16"), ("float32", "int8"), ("int8", "int8")]


def lines(command, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=600)
    return [json.loads(line) for line in out.stdout.splitlines()]


def main():
    longshot, model = sys.argv[1:3]
    samples, tokens = (int(v) for v in (sys.argv[3:] + ["16", "64"][len(sys.argv) - 3:]))
    prompt = lines([longshot, "tokenize", "--model", model], [{"text": PROMPT}])[0]["tokens"]
    print("| weights | KV | tokens | mean | max |\n|---|---|---|---|---|")
    for dtype, kv in FORMATS:
        row = lines([longshot, "generate", "--model", model, "--raw", "--input", "-", "-n", str(samples),
                     "--max-tokens", str(tokens), "--dtype", dtype, "--kv-dtype", kv], [{"prompt": PROMPT}])[0]
        drawn = [c for c in row["completions"] if c["tokens"]]
        exact = lines([longshot, "logprobs", "--model", model], [{"tokens": prompt + c["tokens"]} for c in drawn])
        gaps = [abs(a - b) for c, e in zip(drawn, exact, strict=True)
                for a, b in zip(c["logprobs"], e["logprobs"][len(prompt) - 1:], strict=True)]
        print(f"| {dtype} | {kv} | {len(gaps)} | {sum(gaps) / len(gaps):.2g} | {max(gaps):.2g} |", flush=True)


main()

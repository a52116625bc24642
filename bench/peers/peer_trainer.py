"""Shared by the programs of training peers; see peer.py. load(options) -> (supervised, update), which return the number of
useful tokens."""

import importlib.metadata
import json
import os
import resource
import sys
import time


def gemm_gflops(number_format):
    """The best rate of a few large products with this PyTorch and its threads."""
    import torch

    a, b = (torch.randn(2048, 2048).to(getattr(torch, number_format)) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * 2048**3 / best / 1e9


def serve(load, package):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the peer's own output must not look like an answer
    supervised, update = load(json.loads(sys.argv[1]))
    print(json.dumps({"ready": f"{package} {importlib.metadata.version(package)}"}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        if "gemm" in request:
            print(json.dumps({"gemm_gflops": gemm_gflops(request["gemm"])}), file=answers)
            continue
        start = time.perf_counter()
        tokens = (update if "groups" in request else supervised)(**request)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"useful_tokens": tokens, "seconds": seconds, "peak_bytes": peak}), file=answers)

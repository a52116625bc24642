"""Shared by all peer programs: loads once, then answers one JSON line per request on standard input.

Request: {"samples", "prompt": [ids], "response"}; answer: {"tokens", "seconds"}. The first line out is {"ready": text}.
"""

import importlib.metadata
import json
import os
import sys
import time


def serve(load, package):
    """load(options) -> generate(samples, prompt, response) -> number of tokens. options: the JSON of argv[1]."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the peer's own output must not look like an answer
    generate = load(json.loads(sys.argv[1]))
    print(json.dumps({"ready": f"{package} {importlib.metadata.version(package)}"}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        tokens = generate(request["samples"], request["prompt"], request["response"])
        print(json.dumps({"tokens": tokens, "seconds": time.perf_counter() - start}), file=answers)

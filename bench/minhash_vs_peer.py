#!/usr/bin/env python3
"""Near-duplicate removal by `longshot curate` and by datatrove's MinHash on the same rows, in turns, two processes or threads each.

  bench/minhash_vs_peer.py --rows 50000 --rounds 3
  bench/minhash_vs_peer.py --rows 1000000 --rounds 1 --no-peer      the memory and time of a large set

Makes JSONL rows of random words with planted near duplicates whose Jaccard similarity (sets of 5 words) is computed exactly.
Recall counts planted pairs at 0.9 or above of which the second row was removed; precision counts removed rows that have a row at
the threshold or above. datatrove runs as it is published: signature, buckets, cluster and filter, 14 buckets of 8 hashes, one
task a processor, with the tokenizer for English. It needs a Python with datatrove[io,processing] (--peer-python). Times are of
whole processes, from JSONL to JSONL. Prints one JSON line.
"""
import argparse
import json
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHINGLE, THRESHOLD, HIGH = 5, 0.8, 0.9
PEER = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

if __name__ == "__main__":
    source, work, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)

    def run(name, steps, tasks):
        LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=threads, logging_dir=f"{work}/logs/{name}").run()

    run("signature", [JsonlReader(source), MinhashDedupSignature(output_folder=f"{work}/signature", config=config)], threads)
    run("buckets", [MinhashDedupBuckets(f"{work}/signature", f"{work}/buckets", config=config)], config.num_buckets)
    run("cluster", [MinhashDedupCluster(f"{work}/buckets", f"{work}/cluster", config=config)], 1)
    run("filter", [JsonlReader(source), MinhashDedupFilter(f"{work}/cluster"), JsonlWriter(f"{work}/output", compression=None)], threads)
"""


def shingles(words):
    return {tuple(words[i:i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def jaccard(a, b):
    return len(a & b) / len(a | b)


def make_rows(folder, count, parts):
    """Writes `parts` files; returns [(first row, second row, similarity)] of the planted pairs, one in ten rows."""
    rng = random.Random(7)
    vocabulary = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 9))) for _ in range(20000)]
    files = [open(folder / f"part_{part}.jsonl", "w") for part in range(parts)]
    pairs, row = [], 0

    def write(words):
        nonlocal row
        files[row * parts // count].write(json.dumps({"id": str(row), "text": " ".join(words), "answer": "1"}) + "\n")
        row += 1

    while row < count:
        words = rng.choices(vocabulary, k=rng.randint(60, 140))
        write(words)
        if row < count and rng.random() < 0.1:
            changed = list(words)
            for _ in range(rng.randint(0, 4)):
                changed[rng.randrange(len(changed))] = rng.choice(vocabulary)
            pairs.append((row - 1, row, jaccard(shingles(words), shingles(changed))))
            write(changed)
    for file in files:
        file.close()
    return pairs


def timed(command, **options):
    before = time.monotonic()
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    seconds = time.monotonic() - before
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return seconds, done.stdout


def ids_in(files):
    return {json.loads(line)["id"] for file in files for line in open(file)}


def run_ours(arguments, rows, work):
    seconds, out = timed([arguments.longshot, "curate", *sorted(rows.glob("*.jsonl")), "--out", work, "--threads", arguments.threads,
                          "--set", "normalize.prompt_key=text", "--set", "format.enabled=false"])
    return seconds, ids_in([work / "prompts.jsonl"]), out.strip().splitlines()[-1]


def run_peer(arguments, rows, work):
    work.mkdir(parents=True)
    script = work / "peer.py"
    script.write_text(PEER)
    seconds, _ = timed([arguments.peer_python, script, rows, work, arguments.threads])
    return seconds, ids_in(sorted((work / "output").glob("*.jsonl"))), ""


def quality(kept, count, pairs):
    removed = {str(row) for row in range(count)} - kept
    high = [pair for pair in pairs if pair[2] >= HIGH]
    found = sum(1 for first, second, _ in high if str(first) in removed or str(second) in removed)
    similar = {str(row) for first, second, value in pairs if value >= THRESHOLD - 1e-9 for row in (first, second)}
    return {"recall_at_0.9": round(found / max(1, len(high)), 5), "removed": len(removed),
            "precision": round(len(removed & similar) / max(1, len(removed)), 5)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longshot", default=ROOT / "build/release/bin/longshot")
    parser.add_argument("--peer-python", default="python3")
    parser.add_argument("--rows", type=int, default=50000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--folder", help="for the rows and the work; default: a temporary one")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        rows = folder / "rows"
        rows.mkdir()
        pairs = make_rows(rows, arguments.rows, arguments.threads)
        programs = {"longshot": run_ours} if arguments.no_peer else {"longshot": run_ours, "datatrove": run_peer}
        seconds = {name: [] for name in programs}
        result = {"rows": arguments.rows, "mib": round(sum(f.stat().st_size for f in rows.iterdir()) / 2**20, 1),
                  "pairs_at_0.9": sum(1 for pair in pairs if pair[2] >= HIGH), "threads": arguments.threads}
        for turn in range(arguments.rounds):
            for name, run in programs.items():
                work = folder / f"{name}_{turn}"
                took, kept, note = run(arguments, rows, work)
                seconds[name].append(round(took, 2))
                result[name] = {**quality(kept, arguments.rows, pairs), "seconds": seconds[name], "note": note}
                shutil.rmtree(work)
        if not arguments.no_peer:
            result["median_ratio"] = round(statistics.median(b / a for a, b in zip(seconds["longshot"], seconds["datatrove"])), 2)
        result["peak_gib_of_children"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 3)
        print(json.dumps(result))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

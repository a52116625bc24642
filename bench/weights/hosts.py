#!/usr/bin/env python3
"""How long several hosts take to get a version from one, against a single host: each host is a network namespace whose
link sends and receives at a limited rate. Needs root. Prints a JSON line a round and the median ratio.

Usage: bench/weights/hosts.py [--hosts 4] [--mbit 400] [--mib 256] [--rounds 5] [--longshot build/release/bin/longshot]
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import torch
import transformers

PORT = 8020


def run(*words):
    subprocess.run(list(map(str, words)), check=True, capture_output=True)


def address(host):
    return f"10.93.0.{host + 1}"


@contextlib.contextmanager
def network(count, mbit):
    """Host 0 is the source. Both directions of a link have the rate: that of the host and that of the bridge's port."""
    name = f"lsw{os.getpid() % 10000}"
    spaces = [f"{name}n{host}" for host in range(count)]
    shape = ("root", "tbf", "rate", f"{mbit}mbit", "burst", "256kb", "latency", "50ms")
    try:
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", name, "link", "set", "br0", "up")
        for host, space in enumerate(spaces):
            run("ip", "netns", "add", space)
            run("ip", "link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", f"to{host}", "netns", name)
            run("ip", "-n", name, "link", "set", f"to{host}", "master", "br0", "up")
            run("ip", "-n", space, "addr", "add", f"{address(host)}/24", "dev", "eth0")
            for link in ("eth0", "lo"):
                run("ip", "-n", space, "link", "set", link, "up")
            run("tc", "-n", space, "qdisc", "add", "dev", "eth0", *shape)
            run("tc", "-n", name, "qdisc", "add", "dev", f"to{host}", *shape)
        yield spaces
    finally:
        for space in [*spaces, name]:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


def make_model(folder, mib):
    """A random Llama of about that size in f32."""
    layers = max(1, round((mib * 2**18 - 2 * 1000 * 1024) / (4 * 1024**2 + 3 * 1024 * 2816)))
    config = transformers.LlamaConfig(vocab_size=1000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=layers,
                                      num_attention_heads=16, torch_dtype="float32")
    torch.manual_seed(1)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def weights(options, space, store, *arguments):
    log = store.with_suffix(".log").open("w")
    return subprocess.Popen(["ip", "netns", "exec", space, options.longshot, "weights", "--run", "bench", "--store",
                             str(store), *map(str, arguments)], stdout=log, stderr=log)


def fetch_times(options, root, model, count):
    """Seconds that each of `count` hosts takes, which begin within one tenth of a second."""
    with network(count + 1, options.mbit) as spaces, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        stores = [pathlib.Path(memory) / f"host{host}" for host in range(count + 1)]
        urls = [f"http://{address(host)}:{PORT}" for host in range(count + 1)]
        processes = []
        try:
            for host in range(1, count + 1):
                peers = [word for other in [0, *range(1, count + 1)] if other != host for word in ("--from", urls[other])]
                processes.append(weights(options, spaces[host], stores[host], "--listen", f"{address(host)}:{PORT}",
                                         "--poll", "0.1", *peers))
            time.sleep(1)
            processes.append(weights(options, spaces[0], stores[0], "--listen", f"{address(0)}:{PORT}", "--put", model))
            return [wait_for_fetch(store.with_suffix(".log")) for store in stores[1:]]
        finally:
            for process in processes:
                process.terminate()
                process.wait(30)


def wait_for_fetch(log):
    deadline = time.time() + 600
    while time.time() < deadline:
        found = re.search(r"fetched version .* MiB in ([0-9.]+) s", log.read_text())
        if found:
            return float(found[1])
        time.sleep(0.1)
    raise SystemExit(f"no fetch within 600 s\n{log.read_text()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--mbit", type=int, default=400)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--longshot", default="build/release/bin/longshot")
    options = parser.parse_args()
    options.longshot = str(pathlib.Path(options.longshot).resolve())
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model"
        size = make_model(model, options.mib)
        for _ in range(options.rounds):
            one = fetch_times(options, pathlib.Path(folder), model, 1)[0]
            several = fetch_times(options, pathlib.Path(folder), model, options.hosts)
            ratios.append(max(several) / one)
            print(json.dumps({"bytes": size, "link_s": round(size * 8 / options.mbit / 1e6, 2), "one_host_s": one,
                              "hosts_s": several, "ratio": round(ratios[-1], 2)}), flush=True)
    print(f"{options.hosts} hosts take {statistics.median(ratios):.2f} times as long as one (median of {options.rounds})")


main()

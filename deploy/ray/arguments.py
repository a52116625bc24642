"""The options of launch.py."""
import argparse
import pathlib
import shlex

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def resources(text):
    """'CPU=8,GPU=1' -> {"CPU": 8.0, "GPU": 1.0}"""
    try:
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list such as CPU=8,GPU=1") from None


def count(text):
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of processes")
    return int(text)


def positive(text):
    if count(text) == 0:
        raise argparse.ArgumentTypeError("one process at least must train")
    return int(text)


def parse_arguments(words, environment):
    parser = argparse.ArgumentParser(description="Run longshot on a Ray cluster.", allow_abbrev=False)
    parser.add_argument("config", help="configuration of `longshot train`, on the coordinator's node")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="e.g. optim.lr=3e-5")
    parser.add_argument("--workers", type=count, default=1, help="rollout workers (%(default)s)")
    parser.add_argument("--trainers", type=positive, default=1,
                        help="processes that share the training, a power of two (%(default)s); all need the model, the "
                        "data and the run folder under the same paths, and trainer.lanes must be at least as many")
    parser.add_argument("--address", default=environment.get("RAY_ADDRESS", "auto"),
                        help="the Ray cluster; by default RAY_ADDRESS, or the one of this machine")
    parser.add_argument("--cluster", default=environment.get("LONGSHOT_CLUSTER", ""),
                        help="etcd://HOST:PORT/NAME; by default LONGSHOT_CLUSTER, or an etcd beside the coordinator")
    parser.add_argument("--binary", default=environment.get("LONGSHOT_BIN",
                                                            str(REPOSITORY / "build/release/bin/longshot")),
                        help="the program, on every node; by default LONGSHOT_BIN, or this checkout's")
    parser.add_argument("--coordinator-resources", type=resources, default={"CPU": 1.0}, metavar="CPU=8,GPU=1",
                        help="what Ray reserves for it, and for each further trainer (CPU=1)")
    parser.add_argument("--worker-resources", type=resources, default={"CPU": 1.0}, metavar="CPU=8,GPU=1",
                        help="what Ray reserves for each worker (CPU=1)")
    parser.add_argument("--worker-arguments", type=shlex.split, default=[], metavar="TEXT",
                        help="options of `longshot worker`, e.g. '--device cuda'")
    parser.add_argument("--strategy", default="SPREAD", choices=["SPREAD", "PACK", "STRICT_SPREAD", "STRICT_PACK"],
                        help="how the placement group uses the nodes (%(default)s)")
    parser.add_argument("--folder", default="", help="for logs, on every node; by default /tmp/longshot-ray/NAME")
    parser.add_argument("--placement-seconds", type=float, default=300, help="how long to wait for room (%(default)s)")
    parser.add_argument("--stop-seconds", type=float, default=60, help="for the coordinator to save (%(default)s)")
    # Options may come before, between and after the overrides.
    return parser.parse_intermixed_args(words)

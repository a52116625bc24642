#!/usr/bin/env python3
"""How fast weights move between two processes, against raw TCP with sendfile into one small buffer: over loopback, and
as root also over a veth pair between two network namespaces, which are made and removed here. With --tls the same again
over TLS. The first two versions of a host need new memory and are slower than the others; the medians leave them out.

Usage: bench/weights/run.py [--mib 500] [--rounds 7] [--connections N] [--tls] [--build build/release]
"""
import argparse
import contextlib
import os
import pathlib
import subprocess
import tempfile

ADDRESSES = ("10.91.0.1", "10.91.0.2")
WARM_UP = 2  # versions before a host's third one takes over the memory of its first


def transfer(bench, host, arguments, tls=(), server_prefix=(), client_prefix=()):
    """The host has version after version, as in a run."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([*server_prefix, bench, "serve", host, str(arguments.mib), *tls], **pipes)
    ports = server.stdout.readline().split()
    client = subprocess.Popen([*client_prefix, bench, "fetch", host, *ports, str(arguments.connections), str(WARM_UP),
                               *tls], **pipes)
    try:
        for _ in range(arguments.rounds + WARM_UP):
            print("next", file=server.stdin, flush=True)
            print(server.stdout.readline(), file=client.stdin, flush=True)
            print(client.stdout.readline(), end="", flush=True)
        print(client.communicate(timeout=60)[0], end="", flush=True)
    finally:
        client.kill()
        server.stdin.close()
        server.wait(timeout=30)


@contextlib.contextmanager
def two_namespaces():
    names = [f"lsbench{os.getpid()}{side}" for side in "ab"]
    links = [f"lsb{os.getpid()}{side}"[:15] for side in "ab"]

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1], "netns", names[1])
        for name, link, address in zip(names, links, ADDRESSES):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def certificates(build, folder):
    hosts = ",".join(["127.0.0.1", *ADDRESSES])
    subprocess.run([f"{build}/bin/longshot", "certificates", "--out", folder, "--host", hosts], check=True,
                   stdout=subprocess.DEVNULL)
    return f"{folder}/127.0.0.1"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--connections", type=int, default=0, help="0: the engine's default")
    parser.add_argument("--tls", action="store_true", help="also over TLS")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build).resolve()
    bench = str(build / "bench/weights_bench")
    print("-- in one process", flush=True)
    subprocess.run([bench, "local", str(arguments.mib), str(arguments.rounds)], check=True)
    with tempfile.TemporaryDirectory() as folder:
        ways = [("", ())] + ([(", TLS", (certificates(build, folder),))] if arguments.tls else [])
        for name, tls in ways:
            print(f"-- loopback{name}", flush=True)
            transfer(bench, "127.0.0.1", arguments, tls)
        if os.geteuid() != 0:
            print("-- two namespaces: needs root")
            return
        with two_namespaces() as (server, client):
            inside = [("ip", "netns", "exec", name) for name in (server, client)]
            for name, tls in ways:
                print(f"-- two namespaces with a veth pair{name}", flush=True)
                transfer(bench, ADDRESSES[0], arguments, tls, *inside)


if __name__ == "__main__":
    main()

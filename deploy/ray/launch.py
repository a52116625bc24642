#!/usr/bin/env python3
"""Runs longshot on a Ray cluster: one coordinator and n rollout workers in a placement group, and further trainers if
several share the training. Needs Ray and Python only.

Each actor owns exactly one process, which the kernel ends with it. Ray restarts the actors of workers on the node that
it finds, for ever; a coordinator that is lost ends the run, and the same command continues it. No file is shared between
nodes: only the coordinator's node needs the configuration, the data and the run folder."""
import base64
import contextlib
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from arguments import parse_arguments

POLL_SECONDS = 0.5
RESTART_SECONDS = 5  # before a process that died, although its actor lives, is started again
END_SECONDS = 10     # for workers to end by themselves when the run is complete

# Runs a program that gets SIGKILL when the actor (argv[1]) dies, even if it died before this line.
DIE_WITH_ACTOR = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]): sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def run_name(config):
    """Unique, because two runs of the same name on one host would share their weights."""
    return f"{pathlib.Path(config).stem}-{secrets.token_hex(4)}"


def coordinator_command(arguments, address, token_file):
    return [arguments.binary, "train", arguments.config, f"cluster.listen={address}:0",
            f"cluster.weights_listen={address}:0", f"cluster.token_file={token_file}", *arguments.overrides]


def trainer_command(command, rank, count, address, port):
    """One of several trainers, from the command of a coordinator. Apart from the rank it is the same for all."""
    return ["env", f"RANK={rank}", f"WORLD_SIZE={count}", f"MASTER_ADDR={address}", f"MASTER_PORT={port}", command[0],
            "trainer", *command[2:]]


def worker_command(arguments, name, address, token_file):
    threads = []
    if "--threads" not in arguments.worker_arguments:  # Ray reserves processors, but does not limit them
        threads = ["--threads", str(max(1, int(arguments.worker_resources.get("CPU", 1))))]
    return [arguments.binary, "worker", "--name", name, "--listen", f"{address}:0", "--token-file", str(token_file),
            *threads, *arguments.worker_arguments]


def etcd_command(folder, address, port, peer_port):
    client, peer = f"http://{address}:{port}", f"http://127.0.0.1:{peer_port}"
    return ["etcd", "--name", "default", "--data-dir", str(folder), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--auto-compaction-mode", "revision",
            "--auto-compaction-retention", "1000", "--snapshot-count", "5000"]


def child_environment(base, url):
    return {**base, "LONGSHOT_CLUSTER": url}


def bundles(arguments):
    return ([arguments.coordinator_resources] + [arguments.worker_resources] * arguments.workers +
            [arguments.coordinator_resources] * (arguments.trainers - 1))


class Process:
    """An actor with one child process. Ray calls its methods one after the other on the main thread, with whose end
    the child ends."""

    def __init__(self, role, folder, token, cwd, make_command, url=""):
        import ray
        self.address = ray.util.get_node_ip_address()
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        token_file = self.folder / f"{role}.token"
        descriptor = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, token.encode())
        os.close(descriptor)
        self.log, self.shown = self.folder / f"{role}.log", 0
        self.command, self.environment = make_command(self.address, token_file), child_environment(os.environ, url)
        self.cwd = cwd if os.path.isdir(cwd) else None
        self.start()

    def start(self):
        if getattr(self, "child", None) and self.child.poll() is None:
            return  # Ray has restarted this actor meanwhile
        with self.log.open("ab") as log:
            self.child = subprocess.Popen([sys.executable, "-c", DIE_WITH_ACTOR, str(os.getpid()), *self.command],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                                          cwd=self.cwd, start_new_session=True)

    def get_command(self):
        return self.command

    def where(self):
        return f"{self.address}:{self.log}, process {self.child.pid}"

    def poll(self):
        """Its exit code, or None while it runs, and what it has written since the last call."""
        code = self.child.poll()
        with self.log.open("rb") as log:
            log.seek(self.shown)
            text = log.read()
        self.shown += len(text)
        return code, text.decode(errors="replace")

    def stop(self, seconds):
        """Asks it to stop, kills its group after `seconds`, and returns its exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
        return self.child.wait()


class Etcd(Process):
    def __init__(self, folder, token, name):
        self.port = 0
        super().__init__("etcd", folder, token, "/", self.make_command)
        deadline = time.time() + 60
        while not self.healthy():
            if self.child.poll() is not None or time.time() > deadline:
                raise RuntimeError(f"etcd does not start; see {self.address}:{self.log}")
            time.sleep(0.1)
        self.url = f"etcd://{self.address}:{self.port}/{name}"

    def make_command(self, address, _):
        with socket.socket() as client, socket.socket() as peer:
            client.bind((address, 0))
            peer.bind(("127.0.0.1", 0))
            self.port, peer_port = client.getsockname()[1], peer.getsockname()[1]
        return etcd_command(self.folder / "etcd", address, self.port, peer_port)

    def healthy(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.port}/health", timeout=2) as answer:
                return json.load(answer).get("health") == "true"
        except OSError:
            return False

    def get_url(self):
        return self.url


class Run:
    """The driver's side. Everything that it creates ends with this process, whatever ends it."""

    def __init__(self, ray, arguments):
        self.ray, self.arguments = ray, arguments
        name = arguments.cluster.rsplit("/", 1)[-1] or run_name(arguments.config)
        self.token, self.folder = base64.b64encode(secrets.token_bytes(24)).decode(), arguments.folder
        self.folder = self.folder or f"/tmp/longshot-ray/{name}"
        self.group = ray.util.placement_group(bundles(arguments), strategy=arguments.strategy)
        ready, _ = ray.wait([self.group.ready()], timeout=arguments.placement_seconds)
        if not ready:
            raise TimeoutError(f"the cluster has no room for {bundles(arguments)} within "
                               f"{arguments.placement_seconds:.0f} s: ask for fewer --workers or less for each")
        self.etcd, url = None, arguments.cluster
        if not url:
            self.etcd = self.place(Etcd, 0, {}).remote(self.folder, self.token, name)
            url = ray.get(self.etcd.get_url.remote(), timeout=120)
        self.url = url
        self.start_trainers()
        self.workers, self.due = {}, {}  # due: when a worker that died is started again
        for i in range(arguments.workers):
            role = f"worker-{i}"
            self.workers[role] = self.start(role, i + 1, arguments.worker_resources, -1,
                                            lambda address, token, role=role:
                                            worker_command(arguments, f"{role}-{address}", address, token))

    def start_trainers(self):
        """The coordinator, and those that share its training."""
        arguments, port = self.arguments, 30000 + secrets.randbelow(2700)  # below those that systems take by themselves

        def first(address, token):
            command = coordinator_command(arguments, address, token)
            return command if arguments.trainers == 1 else trainer_command(command, 0, arguments.trainers, address, port)

        self.coordinator = self.start("coordinator", 0, arguments.coordinator_resources, 0, first)
        command = self.ray.get(self.coordinator.get_command.remote(), timeout=60)
        self.trainers = [self.start(f"trainer-{rank}", arguments.workers + rank, arguments.coordinator_resources, -1,
                                    lambda *_, rank=rank: ["env", f"RANK={rank}", *command[2:]])
                         for rank in range(1, arguments.trainers)]

    def restart_trainers(self):
        """None can continue without the others. Ray may be starting the actor of one that is lost, which then starts
        its process by itself."""
        from ray.exceptions import GetTimeoutError, RayActorError
        for actor in self.trainers:
            with contextlib.suppress(GetTimeoutError, RayActorError):
                self.ray.get(actor.stop.remote(0), timeout=30)
        time.sleep(RESTART_SECONDS)
        for actor in self.trainers:
            with contextlib.suppress(GetTimeoutError, RayActorError):
                self.ray.get(actor.start.remote(), timeout=30)
        self.ray.get(self.coordinator.start.remote(), timeout=60)

    def place(self, kind, bundle, wanted, restarts=0):
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
        wanted = dict(wanted)
        return self.ray.remote(kind).options(
            num_cpus=wanted.pop("CPU", 0), num_gpus=wanted.pop("GPU", 0), resources=wanted, max_restarts=restarts,
            max_task_retries=0,
            scheduling_strategy=PlacementGroupSchedulingStrategy(self.group, placement_group_bundle_index=bundle))

    def start(self, role, bundle, wanted, restarts, make_command):
        actor = self.place(Process, bundle, wanted, restarts).remote(role, self.folder, self.token, os.getcwd(),
                                                                     make_command, self.url)
        print(f"{role}: {self.ray.get(actor.where.remote(), timeout=120)}", flush=True)
        return actor

    def wait(self):
        """Shows the coordinator's log until it ends; returns its exit code."""
        while True:
            code, text = self.ray.get(self.coordinator.poll.remote(), timeout=60)
            print(text, end="", flush=True)
            if code is not None and (not self.trainers or code in (0, 2, 130)):
                return code
            if code is not None:
                print(f"a trainer is lost, code {code}; all of them start again", file=sys.stderr, flush=True)
                self.restart_trainers()
            self.watch_workers()
            time.sleep(POLL_SECONDS)

    def watch_workers(self):
        from ray.exceptions import GetTimeoutError, RayActorError
        for role, actor in list(self.workers.items()):
            try:
                code, text = self.ray.get(actor.poll.remote(), timeout=5)
            except (RayActorError, GetTimeoutError):  # it is being restarted, perhaps on another node
                continue
            if code in (0, 2):
                if code == 2:
                    print(f"{role} ends: {text.strip()}", file=sys.stderr, flush=True)
                del self.workers[role]
            elif code is not None and role not in self.due:
                print(f"{role} ended with code {code}; it starts again", file=sys.stderr, flush=True)
                self.due[role] = time.time() + RESTART_SECONDS
            elif code is not None and time.time() >= self.due[role]:
                del self.due[role]
                self.ray.wait([actor.start.remote()], timeout=5)  # unlike get(), does not raise if the actor is lost

    def stop(self, seconds):
        """Ends the coordinator first, which saves the state, then everything else."""
        code = self.ray.get(self.coordinator.stop.remote(seconds), timeout=seconds + 30)
        stops = [actor.stop.remote(END_SECONDS) for actor in [*self.workers.values(), *self.trainers]]
        self.ray.wait(stops, num_returns=len(stops), timeout=2 * END_SECONDS) if stops else None
        if self.etcd is not None:
            self.ray.wait([self.etcd.stop.remote(END_SECONDS)], timeout=2 * END_SECONDS)
        self.ray.util.remove_placement_group(self.group)
        return code


def interrupt(*_):
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the second one ends this process, and Ray ends the actors
    raise KeyboardInterrupt


def main():
    arguments = parse_arguments(sys.argv[1:], os.environ)
    try:
        import ray
    except ImportError:
        sys.exit("launch.py needs Ray in the Python that runs it: pip install ray")
    ray.init(address=arguments.address, log_to_driver=False, logging_level="warning")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    run = None
    try:
        run = Run(ray, arguments)
        code = run.wait()
        deadline = time.time() + END_SECONDS
        while code == 0 and run.workers and time.time() < deadline:
            run.watch_workers()
        run.stop(arguments.stop_seconds)
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr, flush=True)
        code = 130 if run is None else run.stop(arguments.stop_seconds)
    except (TimeoutError, ray.exceptions.RayError) as error:
        print(f"launch.py: {error}\nThe same command continues the run.", file=sys.stderr, flush=True)
        code = 1
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())

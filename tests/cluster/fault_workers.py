"""Rows of tests/cluster/faults that disturb rollout workers and their hosts."""
import base64
import contextlib
import json
import signal
import time
import urllib.request

from cluster_support import Workers
from fault_support import LIMIT, Coordinator
from network_support import Network, Run


def worker(course):
    """A worker is killed and replaced."""
    course.write()
    with Workers(course.url, course.folder, 3) as workers, Coordinator(course) as lead:
        course.begin(lead)
        while course.next(lead, 0.02, 0.5):
            course.fault()
            workers.replace(course.rng.randrange(3))
            course.settle(lead, 1)
        course.finish(lead)


def all_workers(course):
    """All workers are killed, and new ones start up to 3 s later."""
    course.write()
    with Workers(course.url, course.folder, 2) as workers, Coordinator(course) as lead:
        course.begin(lead)
        while course.next(lead, 0.05, 1.5):
            course.fault(lasts=True)
            for one in workers.all:
                one.kill()
            workers.all.clear()
            course.runs_for(lead, course.rng.uniform(0, 3))
            for _ in range(2):
                workers.add()
            course.repaired()
            course.settle(lead)
        course.finish(lead)


def slow_worker(course):
    """One of three workers runs a tenth of the time only, and stalls for up to 3 s now and then."""
    course.write()
    with Workers(course.url, course.folder, 3) as workers, Coordinator(course) as lead:
        course.begin(lead, lambda: lead.text().count(" joins") >= 3)
        slow = course.rng.choice(workers.all)
        while course.runs_for(lead, 0.02):
            stalls = course.faults < course.wanted and course.rng.random() < 0.15
            if stalls:
                course.fault()
            slow.signal(signal.SIGSTOP)
            course.runs_for(lead, course.rng.uniform(0.1, 3) if stalls else 0.18)
            slow.signal(signal.SIGCONT)
        course.finish(lead)
        workers.assert_ended_well()


@contextlib.contextmanager
def run_on_hosts(course):
    """The coordinator and etcd on host A, workers on B and C."""
    network = Network()
    etcd = network.start_etcd(course.folder / "etcd")
    try:
        time.sleep(1.5)
        run = Run(network, (course.folder, course.model, course.lab.data), course.row.name, course.row.iterations)
        try:
            yield network, run
        finally:
            run.close()
    finally:
        etcd.kill()
        etcd.wait()
        network.close()


def partition(course):
    """The host of a worker is cut off for half a second to six seconds."""
    with run_on_hosts(course) as (network, one):
        course.follow(one.folder)
        course.begin(one.train, lambda: all(one.events(host, "joins") for host in "BC"))
        while course.next(one.train, 0.05, 1.5):
            host = course.rng.choice("BC")
            course.fault()
            network.cut(host)
            course.runs_for(one.train, course.rng.uniform(0.5, 6))
            network.heal(host)
            course.settle(one.train)
        assert course.wait_for_end(one.train) == 0, one.text()
        for host, process in one.workers.items():
            assert process.wait(LIMIT) == 0, f"the worker of {host} has not ended well"


def served_by(url, run):
    """{name: url} of the workers that serve weights, as they say in the directory."""
    begin, end = (base64.b64encode(f"/longshot/{run}/hosts{last}".encode()).decode() for last in "/0")
    body = json.dumps({"key": begin, "range_end": end}).encode()
    with urllib.request.urlopen(f"{url}/v3/kv/range", data=body, timeout=5) as answer:
        found = json.loads(answer.read()).get("kvs", [])
    names = (base64.b64decode(entry["key"]).decode().rsplit("/", 1)[1] for entry in found)
    return {name: json.loads(base64.b64decode(entry["value"]))["url"] for name, entry in zip(names, found)}


def readers(url, run):
    """How many fetch from a server of weights now."""
    try:
        with urllib.request.urlopen(f"{url}/v1/checkpoints/{run}", timeout=2) as answer:
            return json.loads(answer.read())["readers"]
    except OSError:
        return 0


def server_in_use(course, lead, workers, new, hosts):
    """The older worker from which the new one fetches, or one at random if it fetches from the coordinator alone, or
    not at all because the run has ended."""
    run, old = course.url.rsplit("/", 1)[1], [one for one in workers.all if one is not new]
    folder = course.folder / f"{new.name}.weights"
    while lead.poll() is None and new.process.poll() is None and not list(folder.glob("*-*/manifest.json")):
        for one in old:
            if list(folder.glob("*-*")) and one.name in hosts and readers(hosts[one.name], run) > 0:
                course.notes.append("while it served")
                return one
    return course.rng.choice(old)


def weight_host(course):
    """A worker from which a new one fetches the weights is killed, and the new one takes its place."""
    course.write()
    with Workers(course.url, course.folder, 2, "--listen", "127.0.0.1:0") as workers, Coordinator(course) as lead:
        course.begin(lead)
        while course.next(lead, 0.05, 1.5):
            hosts = served_by(course.lab.etcd.client, course.url.rsplit("/", 1)[1])
            new = workers.add()
            old = server_in_use(course, lead, workers, new, hosts)
            time.sleep(course.rng.uniform(0, 0.02))
            course.fault()
            workers.all.remove(old)
            old.kill()
            course.settle(lead)
        course.finish(lead)

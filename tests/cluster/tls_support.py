"""Shared by the tests of runs over TLS: certificates, and a coordinator that waits for its first worker."""
import base64
import json
import time
import urllib.request

from cluster_support import Worker, finish, write_run
from resume_support import start
from support import longshot

ITERATIONS = 4


def certificates(out, *hosts, **options):
    flags = [word for host in hosts for word in ("--host", host)]
    return longshot("certificates", "--out", out, *flags, *(options.pop("more", ())), **options)


class Coordinator:
    """Context manager: a coordinator that has announced itself and waits for its first worker."""

    def __init__(self, setting, name, text):
        self.name, self.etcd = name, setting[3]
        self.file, self.run, self.url = write_run(setting, name, ITERATIONS, text)

    def announced(self):
        key = base64.b64encode(f"/longshot/{self.name}/coordinator/address".encode()).decode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.etcd.port}/v3/kv/range",
                                         json.dumps({"key": key}).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            found = json.loads(answer.read()).get("kvs", [])
        return json.loads(base64.b64decode(found[0]["value"])) if found else None

    def __enter__(self):
        self.process = start(self.file)
        deadline = time.time() + 60
        while (known := self.announced()) is None:
            assert time.time() < deadline and self.process.poll() is None, self.process.communicate()
            time.sleep(0.05)
        self.ports = [int(known["address"].split(":")[-1]), int(known["url"].split(":")[-1])]
        self.scheme = known["url"].split(":")[0]
        return self

    def finish(self):
        return finish(self.process)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def refused(coordinator, root, name, *arguments):
    code, text = Worker(coordinator.url, name, root, *arguments).wait(60)
    assert code == 2, text
    return text

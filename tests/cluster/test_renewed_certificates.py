"""Certificates that are renewed while a run works."""
import json
import shutil

import pytest

from cluster_support import Gate, Worker, Workers, assert_same_run, wait_for, whole_run_and_etcd
from support import longshot
from tls_support import ITERATIONS, Coordinator, certificates, refused


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    with whole_run_and_etcd(tmp_path_factory.mktemp("renewal"), ITERATIONS) as made:
        yield made


def workers_of(coordinator, folder):
    shown = longshot("top", "--cluster", coordinator.url, "--tls-dir", folder, "--json").stdout
    return {worker["name"] for worker in json.loads(shown)["workers"]}


def test_certificates_are_renewed_while_a_run_works(setting):
    """The run moves to another authority, so that nothing of the first one is of use for a new connection at the end."""
    root = setting[0]
    for name in ("before", "after"):
        certificates(root / name, "coordinator,127.0.0.1", "worker,127.0.0.1")
    live = root / "live"
    shutil.copytree(root / "before", live)

    def renew(host, *names):
        for name in names:
            shutil.copy(root / "after" / host / name, live / host / f"{name}.new")
            (live / host / f"{name}.new").replace(live / host / name)

    with (Coordinator(setting, "renewed", f"tls_dir = '{live}/coordinator'\n") as coordinator,
          Workers(coordinator.url, root, 0) as workers):
        gate = Gate(coordinator.run, 2)

        def join(name, folder, others):
            workers.all.append(Worker(coordinator.url, name, root, "--tls-dir", folder))
            wait_for(lambda: workers_of(coordinator, folder) == {name, *others}, coordinator.process,
                     describe=workers.all[-1].text)

        join("early", live / "worker", ())
        gate.wait(coordinator.process)
        renew("coordinator", "tls.crt")  # its key is the old one, so the old pair stays in use
        join("between", root / "before/worker", ("early",))
        renew("coordinator", "tls.key", "ca.crt")
        assert "was not signed by the authority" in refused(coordinator, root, "late", "--tls-dir", root / "before/worker")
        workers.all.pop().kill()  # "between" cannot fetch the next weights
        renew("worker", "ca.crt", "tls.crt", "tls.key")
        join("renewed", root / "after/worker", ("early",))
        gate.open()
        errors = coordinator.finish()
        for worker in workers.all:
            code, text = worker.wait()
            assert code == 0 and text.count("connecting to") == 1, text
    assert "cannot be used, so the earlier ones stay in use" in errors and "have changed; new connections" in errors
    assert_same_run(coordinator.run, root / "whole", ITERATIONS)

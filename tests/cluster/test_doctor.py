"""longshot doctor --cluster: each finding is provoked. Coordinators without workers wait, so they can be asked."""
import base64
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from cluster_support import Etcd, Workers, free_port, wait_for
from support import LONGSHOT, ROOT, longshot, tiny_model
from test_tls import Coordinator, certificates, expired_copy


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("doctor")
    model, data = tiny_model(root)
    certificates(root / "own", "coordinator,127.0.0.1", "worker,127.0.0.1")
    certificates(root / "foreign", "worker,127.0.0.1")
    expired_copy(root / "own/worker", root / "own/authority")
    (root / "token").write_text("open sesame\n")
    etcd = Etcd(root / "etcd")
    yield root, model, data, etcd
    etcd.stop()


def doctor(url, *arguments, code=0):
    report = json.loads(longshot("doctor", "--json", "--cluster", url, *arguments, code=code).stdout)
    assert report["ok"] == all(f["status"] == "ok" for f in report["findings"])
    for finding in report["findings"]:
        assert ("advice" in finding) == (finding["status"] != "ok"), finding
    return {finding["name"]: finding for finding in report["findings"]}


def test_a_run_that_a_worker_can_join(setting):
    root = setting[0]
    own = ("--tls-dir", root / "own/worker", "--token-file", root / "token")
    with Coordinator(setting, "sound", f"tls_dir = '{root}/own/coordinator'\ntoken_file = '{root}/token'\n") as run:
        wait_for(lambda: "room" in doctor(run.url, *own), run.process)  # the first weights are published
        found = doctor(run.url, *own)
        assert list(found) == ["certificate", "etcd", "coordinator", "weights", "clock", "jobs", "protocol", "arithmetic",
                               "room"]
        # Everything listens on loopback here, which is named but does not stop a worker of this host.
        for name, finding in found.items():
            assert finding["status"] == ("warn" if name in ("etcd", "weights", "jobs") else "ok"), finding
        assert "cluster.weights_listen" in found["weights"]["advice"] and "cluster.listen" in found["jobs"]["advice"]
        assert "version 3." in found["etcd"]["detail"] and "ms" in found["etcd"]["detail"]
        text = longshot("doctor", "--cluster", run.url, *own).stdout
        assert "warn  jobs" in text and "-> " in text
        # It leaves nothing in etcd, and no trace of a worker.
        assert json.loads(longshot("top", "--cluster", run.url, *own, "--json").stdout)["workers"] == []
        with Workers(run.url, root, 1, *own):
            run.finish()


def test_credentials_that_do_not_fit(setting):
    root = setting[0]
    with Coordinator(setting, "strict", f"tls_dir = '{root}/own/coordinator'\ntoken_file = '{root}/token'\n") as run:
        assert "--tls-dir" in doctor(run.url, code=1)["coordinator"]["detail"]
        own = ("--tls-dir", root / "own/worker")
        found = doctor(run.url, *own, code=1)
        assert found["weights"]["status"] == found["jobs"]["status"] == "fail"
        assert "token" in found["jobs"]["detail"] and "--token-file" in found["jobs"]["advice"]
        foreign = doctor(run.url, "--tls-dir", root / "foreign/worker", "--token-file", root / "token", code=1)
        assert "was not signed by the authority" in foreign["weights"]["detail"]
        assert foreign["jobs"]["status"] == "fail"
        expired = doctor(run.url, "--tls-dir", root / "own/expired", code=1)
        assert expired["certificate"]["status"] == "fail" and "expired on" in expired["certificate"]["detail"]
        assert "--replace" in expired["certificate"]["advice"] and "weights" not in expired
    certificates(root / "short", "worker", more=("--days", "2"))
    found = doctor(f"{setting[3].url}/nothing", "--tls-dir", root / "short/worker")
    assert found["certificate"]["status"] == "warn"


def test_a_run_without_a_coordinator_stops_nothing(setting):
    found = doctor(f"{setting[3].url}/later")
    assert found["coordinator"]["status"] == "warn" and "longshot train" in found["coordinator"]["advice"]
    assert "weights" not in found


def test_an_etcd_that_is_away_stops_a_worker_unless_another_member_answers(setting):
    away = f"127.0.0.1:{free_port()}"
    found = doctor(f"etcd://{away}/run", code=1)
    assert found["etcd"]["status"] == "fail" and away in found["etcd"]["detail"]
    report = json.loads(longshot("doctor", "--json", "--cluster",
                                 f"etcd://{away},127.0.0.1:{setting[3].port}/run").stdout)
    members = [f for f in report["findings"] if f["name"] == "etcd"]
    assert [m["status"] for m in members] == ["warn", "warn"]
    assert "firewall" in members[0]["advice"] and "other hosts" in members[1]["advice"]


def announce(etcd, name, value):
    """Writes the address of a coordinator, as one that has just been lost."""
    body = {"key": base64.b64encode(f"/longshot/{name}/coordinator/address".encode()).decode(),
            "value": base64.b64encode(json.dumps(value).encode()).decode()}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{etcd.port}/v3/kv/put",
                                                       json.dumps(body).encode()), timeout=5) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def known(setting):
    """What a coordinator announces."""
    with Coordinator(setting, "known", "") as run:
        return run.announced()


def test_ports_that_do_not_answer(setting, known):
    etcd = setting[3]
    announce(etcd, "lost", known)  # the coordinator of this address has ended
    found = doctor(f"{etcd.url}/lost", code=1)
    assert found["weights"]["status"] == found["jobs"]["status"] == "fail"
    assert "cluster.weights_listen" in found["weights"]["advice"] and "cluster.listen" in found["jobs"]["advice"]
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    announce(etcd, "silent", known | {"address": f"127.0.0.1:{port}", "url": f"http://127.0.0.1:{port}"})
    found = doctor(f"{etcd.url}/silent", code=1)
    assert "in time" in found["weights"]["detail"] and found["jobs"]["status"] == "fail"
    silent.close()


def test_other_arithmetic_stops_a_worker_unless_the_run_admits_it(setting, known):
    etcd = setting[3]
    announce(etcd, "other", known | {"fingerprint": "float32/float32:0123456789abcdef"})
    found = doctor(f"{etcd.url}/other", code=1)
    assert found["arithmetic"]["status"] == "fail" and "cluster.exact = false" in found["arithmetic"]["advice"]
    assert "0123456789abcdef" in found["arithmetic"]["detail"]
    announce(etcd, "any", known | {"fingerprint": ""})
    assert doctor(f"{etcd.url}/any", code=1)["arithmetic"]["status"] == "ok"


class Status:
    """Answers as the coordinator's port of weights and status, with a clock and a size of its own."""

    def __init__(self, run, seconds, size):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = ({"run": run, "time": time.time() + seconds} if self.path == "/v1/cluster" else
                          {"run": run, "readers": 0,
                           "versions": [{"epoch": 1, "version": 1, "bytes": size, "fingerprint": 1}]})
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_wrong_and_weights_without_room(setting, known, seconds):
    etcd, name = setting[3], f"skewed{seconds}"
    fake = Status(name, seconds, 1 << 60)
    announce(etcd, name, known | {"url": fake.url})
    found = doctor(f"{etcd.url}/{name}", "--weights-dir", setting[0] / "weights", code=1)
    fake.server.shutdown()
    assert found["clock"]["status"] == "warn" and f"{seconds // 3600:+d}"[0] in found["clock"]["detail"]
    assert "NTP" in found["clock"]["advice"]
    assert found["room"]["status"] == "fail" and "--weights-dir" in found["room"]["advice"]


def test_what_cannot_be_combined(setting):
    assert "--plan" in longshot("doctor", "--cluster", f"{setting[3].url}/x", "--plan", "y", code=2).stderr
    assert "cluster url" in longshot("doctor", "--cluster", "nowhere", code=2).stderr
    done = subprocess.run([LONGSHOT, "doctor", "--cluster", f"{setting[3].url}/x", "--token-file", "nowhere"],
                          capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode in (1, 2) and "nowhere" in done.stderr

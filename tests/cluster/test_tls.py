"""Runs over TLS, and the processes that they must refuse. A coordinator without workers waits, so refusals are tried
while it waits, and nothing depends on how long a run takes."""
import base64
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import time
import urllib.request

import pytest

from cluster_support import Etcd, Worker, Workers, assert_same_run, cluster_config, whole_run_and_etcd
from resume_support import start
from support import LONGSHOT, ROOT, longshot
from tls_support import ITERATIONS, Coordinator, certificates, refused


def signed(folder, authority, days):
    """Writes a key and a certificate of the openssl program."""
    for words in (("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=named",
                   "-keyout", folder / "tls.key", "-out", folder / "csr"),
                  ("x509", "-req", "-days", days, "-in", folder / "csr", "-CA", authority / "ca.crt", "-CAkey",
                   authority / "ca.key", "-set_serial", "7", "-out", folder / "tls.crt")):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def expired_copy(folder, authority):
    """A folder like `folder` whose certificate ended yesterday."""
    copy = folder.with_name("expired")
    copy.mkdir()
    shutil.copy(folder / "ca.crt", copy)
    signed(copy, authority, -1)
    return copy


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("tls")
    certificates(root / "own", "coordinator,127.0.0.1", "worker,127.0.0.1", "elsewhere")
    certificates(root / "foreign", "worker,127.0.0.1")
    expired_copy(root / "own/worker", root / "own/authority")
    with whole_run_and_etcd(root, ITERATIONS) as made:
        yield made


def tls(root, folder="coordinator"):
    return f"tls_dir = '{root}/own/{folder}'\n"


def test_a_run_over_tls_has_the_bits_of_one_process(setting):
    root = setting[0]
    (root / "token").write_text("open sesame\n")
    with Coordinator(setting, "encrypted", tls(root) + f"token_file = '{root}/token'\n") as coordinator:
        assert coordinator.scheme == "https"
        own = ("--tls-dir", root / "own/worker", "--token-file", root / "token")
        top = json.loads(longshot("top", "--cluster", coordinator.url, *own, "--json").stdout)
        assert top["run"] == "encrypted" and top["workers"] == []
        assert "token" in refused(coordinator, root, "tokenless", "--tls-dir", root / "own/worker")
        with Workers(coordinator.url, root, 2, *own) as workers:
            coordinator.finish()
            for worker in workers.all:
                code, text = worker.wait()
                assert code == 0, text
    assert_same_run(coordinator.run, root / "whole", ITERATIONS)


def test_each_refused_worker_is_told_why(setting):
    root = setting[0]
    with Coordinator(setting, "refusing", tls(root)) as coordinator:
        for name, arguments, expected in (
                ("plain", (), "--tls-dir"),
                ("foreign", ("--tls-dir", root / "foreign/worker"), "was not signed by the authority"),
                ("expired", ("--tls-dir", root / "own/expired"), "expired on")):
            assert expected in refused(coordinator, root, name, *arguments)
        top = ("top", "--cluster", coordinator.url)
        assert "--tls-dir" in longshot(*top, code=2).stderr
        assert "was not signed" in longshot(*top, "--tls-dir", root / "foreign/worker", code=2).stderr
        assert coordinator.process.poll() is None
        with Workers(coordinator.url, root, 1, "--tls-dir", root / "own/worker"):
            errors = coordinator.finish()
        for name in ("plain", "foreign", "expired"):
            assert f"worker {name}" not in errors
    assert_same_run(coordinator.run, root / "whole", ITERATIONS)


def test_a_worker_whose_own_file_trusts_two_authorities_is_told_that_the_coordinator_does_not(setting):
    root = setting[0]
    both = root / "both"
    shutil.copytree(root / "foreign/worker", both)
    (both / "ca.crt").write_text("".join((root / name / "authority/ca.crt").read_text() for name in ("own", "foreign")))
    with Coordinator(setting, "strict", tls(root)) as coordinator:
        text = refused(coordinator, root, "trusting", "--tls-dir", both)
        assert "does not trust the authority that signed" in text


def test_a_coordinator_with_the_certificate_of_another_host_is_refused(setting):
    root = setting[0]
    with Coordinator(setting, "misnamed", tls(root, "elsewhere")) as coordinator:
        text = refused(coordinator, root, "careful", "--tls-dir", root / "own/worker")
        assert "the server's certificate is for elsewhere, not for 127.0.0.1" in text


def test_a_worker_with_a_certificate_does_not_join_a_coordinator_without(setting):
    root = setting[0]
    with Coordinator(setting, "open", "") as coordinator:
        assert "does not use TLS" in refused(coordinator, root, "careful2", "--tls-dir", root / "own/worker")
        assert "does not use TLS" in longshot("top", "--cluster", coordinator.url, "--tls-dir", root / "own/worker",
                                              code=2).stderr


def answers(port, folder, ask):
    """What a client of Python's gets that trusts every server; empty if it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if folder is not None:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as encrypted:
                encrypted.sendall(ask)
                return encrypted.recv(1000)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_no_port_answers_without_a_certificate_of_the_authority(setting):
    root = setting[0]
    asked = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)),  # HTTP/2, as gRPC speaks it
             b"GET /v1/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    with Coordinator(setting, "guarded", tls(root)) as coordinator:
        for port, ask in zip(coordinator.ports, asked):
            assert answers(port, root / "own/worker", ask) != b""
            for folder in (None, root / "foreign/worker", root / "own/expired"):
                assert answers(port, folder, ask) == b"", f"{folder} got an answer"
            with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
                plain.sendall(ask)
                got = b""
                try:
                    while piece := plain.recv(1000):
                        got += piece
                except ConnectionError:
                    pass
            assert b"HTTP/1.1 200" not in got and b"ok" not in got


def test_files_that_cannot_be_used_end_the_command_before_anything_is_written(setting):
    root, model, data, etcd = setting
    broken = root / "broken"
    shutil.copytree(root / "own/worker", broken)
    (broken / "tls.key").unlink()
    file = root / "bad.toml"
    file.write_text(cluster_config(root / "bad", model, data, 1).replace(
        "[cluster]\n", f"[cluster]\nurl = '{etcd.url}/bad'\ntls_dir = '{broken}'\n"))
    assert "tls.key" in longshot("train", file, "--dry-run", code=2).stderr
    assert "tls.key" in longshot("train", file, code=2).stderr
    assert not (root / "bad").exists()
    for words in (("worker", "--cluster", f"{etcd.url}/bad"), ("top", "--cluster", f"{etcd.url}/bad"),
                  ("weights", "--run", "bad", "--store", root / "bad_store")):
        assert "tls.key" in longshot(*words, "--tls-dir", broken, code=2).stderr


def serve_weights(root, *arguments):
    process = subprocess.Popen([LONGSHOT, "weights", *map(str, arguments)], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    return process, process.stdout.readline().split(" on ")[-1].strip()


def test_weights_travel_over_tls(setting):
    root, model = setting[0], setting[1]
    own = ("--run", "r", "--listen", "127.0.0.1:0", "--tls-dir")
    first, url = serve_weights(root, *own, root / "own/coordinator", "--store", root / "store1", "--put", model)
    try:
        assert url.startswith("https://")
        second, _ = serve_weights(root, *own, root / "own/worker", "--store", root / "store2", "--from", url)
        try:
            while "tensors" not in (line := second.stdout.readline()):
                assert line != "", "it ended before it had fetched"
        finally:
            second.terminate()
            second.wait(30)
        fetched, = (root / "store2").glob("*/model.safetensors")
        original, = (root / "store1").glob("*/model.safetensors")
        assert fetched.read_bytes() == original.read_bytes()
        done = longshot("weights", "--run", "r", "--store", root / "store3", "--from", url, code=2)
        assert "--tls-dir" in done.stderr
        done = longshot("weights", *own, root / "own/worker", "--store", root / "store3", "--from",
                        url.replace("https", "http"), code=2)
        assert "does not use TLS" in done.stderr
    finally:
        first.terminate()
        first.wait(30)


def test_an_etcd_with_users_and_certificates(setting):
    """Wants a certificate of its clients, and then a login; its authority is another one than the run's."""
    root, model, data, _ = setting
    certificates(root / "store", "127.0.0.1", "client")
    files = root / "store/127.0.0.1"
    etcd = Etcd(root / "users", alone=False)
    client, peer = f"https://127.0.0.1:{etcd.port}", f"http://127.0.0.1:{etcd.peer}"
    etcd.process = subprocess.Popen(
        ["etcd", "--data-dir", str(etcd.folder), "--listen-client-urls", client, "--advertise-client-urls", client,
         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
         "--client-cert-auth", "--trusted-ca-file", str(files / "ca.crt"), "--cert-file", str(files / "tls.crt"),
         "--key-file", str(files / "tls.key"), "--unsafe-no-fsync"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = ssl.create_default_context(cafile=files / "ca.crt")
    context.load_cert_chain(root / "store/client/tls.crt", root / "store/client/tls.key")

    def ask(path, request):
        with urllib.request.urlopen(urllib.request.Request(f"{client}/v3/auth/{path}", json.dumps(request).encode()),
                                    timeout=5, context=context) as answer:
            return json.loads(answer.read())

    try:
        deadline = time.time() + 60
        while True:
            try:
                ask("role/add", {"name": "root"})
                break
            except OSError:
                assert time.time() < deadline
                time.sleep(0.1)
        encode = (lambda text: base64.b64encode(text.encode()).decode())
        ask("role/add", {"name": "runs"})
        ask("role/grant", {"name": "runs", "perm": {"permType": "READWRITE", "key": encode("/longshot/"),
                                                    "range_end": encode("/longshot0")}})
        for user in ("root", "runs"):
            ask("user/add", {"name": user, "password": f"of {user}: 1"})
            ask("user/grant", {"user": user, "role": user})
        ask("enable", {})
        (root / "login").write_text("runs:of runs: 1\n")
        (root / "guess").write_text("runs:guess\n")
        (root / "no_colon").write_text("runs\n")
        url = f"etcds://127.0.0.1:{etcd.port}/kept"
        keys = f"etcd_tls_dir = '{root}/store/client'\netcd_login_file = '{root}/login'\n"
        file = root / "kept.toml"
        file.write_text(cluster_config(root / "kept", model, data, ITERATIONS).replace(
            "[cluster]\n", f"[cluster]\nurl = '{url}'\n{tls(root)}{keys}"))
        store = ("--tls-dir", root / "own/worker", "--etcd-tls-dir", root / "store/client")
        for login, expected in (((), "--etcd-login-file"), (("--etcd-login-file", root / "guess"), "login of user 'runs'"),
                                (("--etcd-login-file", root / "no_colon"), "is not USER:PASSWORD")):
            code, text = Worker(url, f"login{len(expected)}", root, *store, *login).wait(60)
            assert code == 2 and expected in text, text
        named = root / "named"  # a certificate of the openssl program, with a common name
        named.mkdir()
        shutil.copy(files / "ca.crt", named)
        signed(named, root / "store/authority", 1)
        code, text = Worker(url, "named", root, "--tls-dir", root / "own/worker", "--etcd-tls-dir", named,
                            "--etcd-login-file", root / "login").wait(60)
        assert code == 2 and "common name" in text, text
        own = (*store, "--etcd-login-file", root / "login")
        process = start(file)
        with Workers(url, root, 1, *own):
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, errors
        report = longshot("doctor", "--cluster", url, *own)
        assert "a put takes" in report.stdout
        plain = longshot("doctor", "--cluster", url.replace("etcds", "etcd"), *own, code=2)
        assert "--etcd-tls-dir" in plain.stderr
    finally:
        etcd.stop()
    assert_same_run(root / "kept", root / "whole", ITERATIONS)


def test_certificates_are_made_whole_and_never_overwritten_unasked(tmp_path):
    out = tmp_path / "certs"
    shown = certificates(out, "a,10.0.0.1", "b").stdout
    assert "a new authority" in shown and f"{out}/a: valid until" in shown
    assert sorted(p.name for p in out.iterdir()) == ["a", "authority", "b"]
    for key in ("authority/ca.key", "a/tls.key", "b/tls.key"):
        assert stat.S_IMODE((out / key).stat().st_mode) == 0o600
    text = subprocess.run(["openssl", "x509", "-in", out / "a/tls.crt", "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    assert "DNS:a, IP Address:10.0.0.1" in text and "TLS Web Client" in text and "TLS Web Server" in text
    subprocess.run(["openssl", "verify", "-CAfile", out / "authority/ca.crt", out / "a/tls.crt", out / "b/tls.crt"],
                   check=True, capture_output=True)

    def contents():
        return {str(p): p.read_bytes() for p in out.rglob("*") if p.is_file()}

    before = contents()
    assert "--replace" in certificates(out, "c", "a", code=2).stderr  # c is not made either
    assert "not a host name" in certificates(out, "c", "d e", code=2).stderr
    assert "twice" in certificates(out, "c", "authority", code=2).stderr
    assert contents() == before
    assert "a new authority" not in certificates(out, "c").stdout  # a host that is added later
    certificates(out, "a,10.0.0.1", more=("--replace", "--days", "2"))
    after = contents()
    assert after[f"{out}/authority/ca.key"] == before[f"{out}/authority/ca.key"]
    assert after[f"{out}/a/tls.key"] != before[f"{out}/a/tls.key"]
    assert after[f"{out}/b/tls.key"] == before[f"{out}/b/tls.key"]
    assert sorted(p.name for p in out.iterdir()) == ["a", "authority", "b", "c"]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in longshot("certificates", "--out", tmp_path / "file/certs", "--host", "a", code=1).stderr
    assert os.listdir(tmp_path) == ["file"]

"""`longshot weights`: a host that serves versions and one that follows it, as separate processes."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import pytest

from support import LONGSHOT, ROOT, longshot, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("weights"), steps=1)[0]


@pytest.fixture
def memory():
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="longshot_test_") as folder:
        yield pathlib.Path(folder)


@contextlib.contextmanager
def weights(store, *arguments):
    """Runs the server on a free port and yields its process and url."""
    command = [LONGSHOT, "weights", "--run", "r1", "--store", store, "--listen", "127.0.0.1:0", "--poll", "0.05",
               *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=20) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def get(url, headers={}):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as reply:
        return reply.status, reply.read(), reply.headers


def held(url):
    return [v["version"] for v in json.loads(get(url + "/v1/checkpoints/r1")[1])["versions"]]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_follower_gets_every_version_bit_for_bit(model, memory):
    with weights(memory / "a", "--put", model) as (_, a), weights(memory / "b", "--from", a) as (_, b):
        wait_for(lambda: held(b) == [1])
        longshot("weights", "--run", "r1", "--store", memory / "a", "--put", model, "--list")
        wait_for(lambda: held(b) == [1, 2])
        for path in ("manifest", "data", "files/config.json"):
            assert get(f"{a}/v1/checkpoints/r1/latest/{path}")[1] == get(f"{b}/v1/checkpoints/r1/0-2/{path}")[1]
        data = get(f"{a}/v1/checkpoints/r1/2/data")[1]
        status, part, headers = get(f"{b}/v1/checkpoints/r1/2/data", {"Range": "bytes=5-104"})
        assert (status, part) == (206, data[5:105])
        assert headers["Content-Range"] == f"bytes 5-104/{len(data)}"
    listed = longshot("weights", "--run", "r1", "--store", memory / "b", "--list").stdout
    assert "version 1 of epoch 0" in listed and "version 2 of epoch 0" in listed


def test_the_stored_folder_is_a_model_directory(model, memory):
    longshot("weights", "--run", "r1", "--store", memory, "--put", model, "--list")
    from safetensors import safe_open
    with safe_open(memory / "0-1/model.safetensors", "np") as ours, \
            safe_open(pathlib.Path(model) / "model.safetensors", "np") as theirs:
        assert set(ours.keys()) == set(theirs.keys())
        for name in ours.keys():
            assert (ours.get_tensor(name) == theirs.get_tensor(name)).all()


def test_a_token_is_required_and_sent(model, memory):
    token = memory / "token"
    token.write_text("secret\n")
    with weights(memory / "a", "--put", model, "--token-file", token) as (_, a):
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(a + "/v1/checkpoints/r1")
        assert refused.value.code == 401
        assert get(a + "/v1/healthz")[0] == 200
        with weights(memory / "b", "--from", a, "--token-file", token) as (_, b):
            header = {"Authorization": "Bearer secret"}
            wait_for(lambda: b'"version":1' in get(b + "/v1/checkpoints/r1", header)[1])


def test_a_follower_survives_the_loss_of_its_peer(model, memory):
    with weights(memory / "b", "--from", "http://127.0.0.1:9") as (process, b):
        assert held(b) == []
        time.sleep(0.3)
        assert process.poll() is None
    with weights(memory / "a", "--put", model) as (_, a):
        with weights(memory / "b", "--from", "http://127.0.0.1:9", "--from", a) as (_, b):
            wait_for(lambda: held(b) == [1])


@pytest.mark.parametrize("arguments, message", [
    (["--run", "a/b", "--list"], "a/b"),
    (["--run", "r1", "--listen", "nowhere"], "HOST:PORT"),
    (["--run", "r1", "--put", "/no/such/model", "--list"], "/no/such/model"),
    (["--run", "r1", "--token-file", "/no/such/file"], "/no/such/file"),
    (["--run", "r1", "--token-file", os.devnull], "one line with the token"),
    (["--run", "r1", "--from", "host:1"], "host:1"),
])
def test_wrong_options_are_errors_that_name_them(arguments, message, memory):
    done = longshot("weights", "--store", memory, *arguments, code=2)
    assert message in done.stderr

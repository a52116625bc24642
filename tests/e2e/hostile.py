"""Shared by the tests with hostile clients: two servers, and connections below HTTP."""
import contextlib
import socket
import time
import urllib.parse

import pytest

from support import Server, tiny_model

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("hostile"), steps=20)[0]


@pytest.fixture(scope="module")
def serve(tiny):
    with Server("--model", tiny, "--served-model-name", "tiny", "--max-concurrent", 4, "--max-waiting", 4) as running:
        yield running
        assert running.process.poll() is None
        code, log = running.stop()
        assert code == 0, log


@pytest.fixture(scope="module")
def sandbox():
    with Server("--slots", "1", command="sandbox") as running:
        yield running
        assert running.process.poll() is None
        code, log = running.stop()
        assert code == 0, log


@pytest.fixture(params=["serve", "sandbox"])
def server(request):
    return request.getfixturevalue(request.param)


def post_path(server):
    return "/v1/completions" if server.process.args[1] == "serve" else "/run_code"


def connect(server):
    url = urllib.parse.urlparse(server.url)
    return socket.create_connection((url.hostname, url.port), timeout=60)


def raw(server, data, end=False):
    """Returns the server's answer to these bytes, up to the end of the connection."""
    with connect(server) as client:
        with contextlib.suppress(OSError):
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                answer += piece
    return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def healthy(server, within=20):
    """Checks that a new client is answered; the time limit is loose, for a busy machine."""
    begin = time.monotonic()
    assert server.call("/health")[0] == 200
    assert time.monotonic() - begin < within
    return time.monotonic() - begin


def one_post(path, body, extra=b""):
    return (b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + extra +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)

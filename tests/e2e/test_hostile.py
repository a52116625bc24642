"""Clients that are slow, wrong or hostile: `longshot serve` and `longshot sandbox` stay up and answer /health."""
import contextlib
import pathlib
import re
import threading
import time
import urllib.parse

import pytest

from hostile import JSON, connect, healthy, post_path, raw, sandbox, serve, server, status_of, tiny  # noqa: F401 (fixtures)
from support import Server, longshot


def test_slow_heads_hold_no_thread(server):
    """More connections than the server has threads, each with an unfinished head."""
    clients = [connect(server) for _ in range(700)]
    try:
        for client in clients:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nX-")
        for _ in range(3):
            healthy(server)
            for client in clients[:100]:
                with contextlib.suppress(OSError):
                    client.sendall(b"a")
        assert status_of(clients[0].recv(65536)) == 408, "the head has a deadline as a whole"
    finally:
        for client in clients:
            client.close()
    healthy(server)


def test_slow_bodies_hold_health_not(server):
    path = post_path(server).encode()
    clients = [connect(server) for _ in range(200)]
    try:
        for client in clients:
            client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 1000\r\n\r\n{")
        healthy(server)
        for client in clients:
            client.sendall(b" ")
        healthy(server)
        begin = time.monotonic()
        clients[0].settimeout(120)
        with contextlib.suppress(OSError):
            while clients[0].recv(65536):
                pass
        assert time.monotonic() - begin < 100, "a body has a deadline"
    finally:
        for client in clients:
            client.close()
    healthy(server)


def test_idle_connections_and_floods(server):
    idle = [connect(server) for _ in range(600)]
    healthy(server)
    for _ in range(1500):
        connect(server).close()
    healthy(server)
    for client in idle:
        client.close()


@pytest.mark.parametrize("head, statuses", [
    (b"GET /health HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", (431, None)),
    (b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", (431, None)),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", (400, 414, None)),
    (b"GET /health HTTP/1.1\r\nX: a\x00b\x01\r\nConnection: close\r\n\r\n", (200, 400)),
    (b"GET /health HTTP/1.1\r\n\xff\xfe: \x80\r\nConnection: close\r\n\r\n", (200, 400)),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400, None)),
    (b"GET\r\n\r\n", (400, None)), (b"\r\n\r\n\r\n\r\n", (400, None)),
    (b"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", (404,)),
    (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", (404,)),
    (b"GET /v1/models/..%2f..%2f%00 HTTP/1.1\r\nConnection: close\r\n\r\n", (404,)),
    (b"GET //health HTTP/1.1\r\nConnection: close\r\n\r\n", (404,)),
    (b"GET /health HTTP/1.1\r\nRange: bytes=" + b"0-0," * 1900 + b"0-0\r\nConnection: close\r\n\r\n", (200, 206, 400, 416)),
    (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", (400,)),
    (b"POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", (405,)),
    (b"DELETE /health HTTP/1.1\r\n\r\n", (405, None)),
    (b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n", (404, 405)),
], ids=range(17))
def test_heads(server, head, statuses):
    assert status_of(raw(server, head, end=True)) in statuses
    healthy(server)


def test_bodies(server):
    path = post_path(server).encode()

    def post(headers, body=b"", end=True):
        return status_of(raw(server, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body, end))

    assert post(b"Content-Length: 9999999999999\r\nConnection: close\r\n", b"{", end=False) == 413
    assert post(b"Content-Length: 10\r\nContent-Encoding: gzip\r\nConnection: close\r\n", b"x" * 10, end=False) == 415
    assert post(b"Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n") in (400, None)
    assert post(b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffffff\r\n" + b"x" * 100) in (400, 413, None)
    assert post(b"Content-Length: 100\r\n", b"{}") in (400, None)
    assert post(b"Content-Length: 0\r\nConnection: close\r\n", end=False) == 400
    for body in (b"\xff\xfe", b'{"a": "\xff"}', b"null", b"[]", b"3", b'"x"', b"{" * 100, b'{"model": "tiny"' * 1000):
        head = b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
        assert post(head, body, end=False) == 400
    healthy(server)


def test_a_chunked_body_without_end_is_cut(server):
    path = post_path(server).encode()
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(server) as client:
        with contextlib.suppress(OSError):
            client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(3000):
                client.sendall(piece)
        healthy(server)


def test_pipelined_requests_are_answered_in_order(server):
    answer = raw(server, b"GET /health HTTP/1.1\r\n\r\n" * 20 + b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 21
    split = b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n"
    with connect(server) as client:
        for byte in split:
            client.sendall(bytes([byte]))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_half_closed_socket_ends(server):
    assert raw(server, b"GET /health HTT", end=True) == b""
    assert raw(server, b"", end=True) == b""
    healthy(server)


HIDDEN = b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("headers, body, status", [
    (b"Content-Length: 2\r\nContent-Length: 60\r\n", b"{}" + HIDDEN, 400),
    (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}" + HIDDEN, 400),
    (b"Content-Length: 2, 2\r\n", b"{}" + HIDDEN, 400),
    (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN, 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n" + HIDDEN, 400),
    (b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n" + HIDDEN, 501),
    (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + HIDDEN, 400),
    (b"Content-Length : 2\r\n", b"{}" + HIDDEN, 400),
    (b"X: y\nContent-Length: 60\r\n", HIDDEN, 400),
    (b"X: y\rContent-Length: 60\r\n", HIDDEN, 400),
    (b"X: y\r\n Content-Length: 60\r\n", HIDDEN, 400),
    (b"Content-Length: +2\r\n", b"{}" + HIDDEN, 400),
    (b"Content-Length: 0x2\r\n", b"{}" + HIDDEN, 400),
    (b"Content-Length: abc\r\n", HIDDEN, 400),
    (b"Transfer-Encoding: chunked\r\n", b"2 \r\n{}\r\n0\r\n\r\n" + HIDDEN, 400),
    (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}xx0\r\n\r\n" + HIDDEN, 400),
], ids=range(16))
def test_no_request_hides_in_another(server, headers, body, status):
    answer = raw(server, b"POST " + post_path(server).encode() + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body)
    assert status_of(answer) == status and answer.count(b"HTTP/1.1 ") == 1, answer


def test_a_chunked_body_is_a_body(server):
    path = post_path(server).encode()
    chunks = b"1\r\n{\r\n8;x=y\r\n\"un\":123\r\n1\r\n}\r\n0\r\n\r\n"
    answer = raw(server, b"POST " + path + b" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + HIDDEN)
    assert answer.count(b"HTTP/1.1 ") == 2 and status_of(answer) == 400 and b"HTTP/1.1 200" in answer, answer


def test_old_and_other_protocols(server):
    answer = raw(server, b"GET /health HTTP/1.0\r\n\r\n")
    assert status_of(answer) == 200 and b"Transfer-Encoding" not in answer
    assert status_of(raw(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) == 505
    assert status_of(raw(server, b"GET /health HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n", end=True)) == 200
    assert status_of(raw(server, b"\r\nGET /health HTTP/1.1\r\nConnection: close\r\n\r\n")) == 200
    assert status_of(raw(server, b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", end=True)) in (400, 404, 405)


def test_a_range_does_not_multiply_an_answer(server):
    ranges = b"Range: bytes=" + b"0-," * 1900 + b"0-\r\n"
    answer = raw(server, b"GET /metrics HTTP/1.1\r\n" + ranges + b"Connection: close\r\n\r\n")
    assert status_of(answer) == 200 and len(answer) < 100_000


def test_expect_100_continue(server):
    path = post_path(server).encode()
    with connect(server) as client:
        client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert status_of(client.recv(65536)) == 400
    begin = time.monotonic()
    answer = raw(server, b"POST /nothing HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", end=True)
    assert status_of(answer) == 404 and time.monotonic() - begin < 9


def test_answers_that_nobody_reads_hold_health_not(server):
    """Each client fills its connection with answers."""
    clients = [connect(server) for _ in range(40)]
    try:
        for client in clients:
            client.settimeout(0.2)
            with contextlib.suppress(OSError):
                for _ in range(20):
                    client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 2000)
            healthy(server)
        for _ in range(20):
            healthy(server)
    finally:
        for client in clients:
            client.close()


def test_many_slow_bodies_keep_no_request_from_its_answer(server):
    path = post_path(server).encode()
    clients = [connect(server) for _ in range(600)]
    try:
        for i, client in enumerate(clients):
            framing = b"Content-Length: 1000" if i % 2 else b"Transfer-Encoding: chunked"
            client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        begin = time.monotonic()
        assert server.call(post_path(server), {"unknown": 1}, JSON)[0] == 400
        assert time.monotonic() - begin < 15, "not after the bodies' deadline"
    finally:
        for client in clients:
            client.close()


def test_large_bodies_are_limited_together(server):
    """The bodies would take 16 GiB if all were kept."""
    path = post_path(server).encode()

    def send():
        with contextlib.suppress(OSError), connect(server) as client:
            client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
            for _ in range(24):
                client.sendall(b" " * (1 << 20))
            time.sleep(1)

    threads = [threading.Thread(target=send) for _ in range(30)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, memory_mib(server))
        time.sleep(0.05)
    assert most < 900, f"{most} MiB; 720 would be the bodies alone, and 256 are allowed"
    healthy(server)


def memory_mib(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


PAGE = {"Origin": "https://evil.example"}


def test_web_pages_change_nothing(server):
    path = post_path(server)
    paths = [path] + (["/pause", "/resume", "/update_weights", "/generate"] if path != "/run_code" else ["/run_tests"])
    for path in paths:
        for headers in ({**JSON, **PAGE}, {**JSON, "Origin": "null"}, {**JSON, "Sec-Fetch-Site": "cross-site"}):
            status, answer = server.call(path, {}, headers)
            assert status == 403 and "web pages" in answer["error"]["message"], (path, status)
        for kind in ("text/plain", "multipart/form-data; boundary=x", "text/plain;charset=UTF-8", "Text/Plain", "MULTIPART/mixed"):
            assert server.call(path, {}, {"Content-Type": kind})[0] == 415
    assert server.call("/health", headers=PAGE)[0] == 200


def test_the_key_comes_before_the_body(tiny):
    with Server("--model", tiny, "--api-key", "secret") as server:
        for sent in (b"", b"Expect: 100-continue\r\n"):
            with connect(server) as client:
                begin = time.monotonic()
                client.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\n" + sent + b"Content-Length: 60000000\r\n\r\n")
                assert status_of(client.recv(65536)) == 401
                assert time.monotonic() - begin < 15, "not after the body's deadline"
        ok = {"Authorization": "Bearer secret", **JSON}
        assert server.call("/tokenize", {"prompt": "1"}, {**ok, **PAGE})[0] == 200, "the key is proof enough"


def test_the_access_log_and_the_message_of_a_taken_port(tiny):
    with Server("--model", tiny) as server:
        port = urllib.parse.urlparse(server.url).port
        assert server.call("/no/such\x1broute".replace("\x1b", "%1b"))[0] == 404
        raw(server, b"GARBAGE\r\n\r\n", end=True)
        taken = longshot("serve", "--model", tiny, "--port", port, code=2)
        assert "in use" in taken.stderr
        foreign = longshot("serve", "--model", tiny, "--host", "192.0.2.1", code=2)
        assert "is not an address of this machine" in foreign.stderr
        unknown = longshot("serve", "--model", tiny, "--host", "no.such.host.invalid", code=2)
        assert "cannot listen on no.such.host.invalid" in unknown.stderr
        _, log = server.stop()
        line = next(line for line in log.splitlines() if "/no/such" in line)
        assert "GET" in line and " 404 " in line and "127.0.0.1" in line and "\x1b" not in line, line


def test_health_is_quick_while_all_of_it_happens(serve):
    """Has no time limit, which a busy machine would exceed: all requests must be answered, and a figure is printed."""
    stop = threading.Event()

    def attack(kind):
        while not stop.is_set():
            with contextlib.suppress(OSError):
                client = connect(serve)
                client.sendall((b"GET /he", b"POST /generate HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"\r\n" * 9)[kind])
                stop.wait(0.05)
                client.close()

    threads = [threading.Thread(target=attack, args=(i % 3,)) for i in range(30)]
    for thread in threads:
        thread.start()
    times = sorted(healthy(serve) for _ in range(200))
    stop.set()
    for thread in threads:
        thread.join()
    print(f"median {1000 * times[100]:.1f} ms, largest {1000 * times[-1]:.1f} ms")

"""Clients that are slow, wrong or hostile: `longshot serve` and `longshot sandbox` stay up and answer /health."""
import contextlib
import json
import socket
import threading
import time
import urllib.parse

import openai
import pytest

from support import Server, longshot, tiny_model

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
    """What the server answers to these bytes, up to the end of the connection."""
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
    """A new client is answered; the bound is loose, for a busy machine."""
    begin = time.monotonic()
    assert server.call("/health")[0] == 200
    assert time.monotonic() - begin < within
    return time.monotonic() - begin


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


PAGE = {"Origin": "https://evil.example"}


def test_web_pages_change_nothing(server):
    path = post_path(server)
    paths = [path] + (["/pause", "/resume", "/update_weights", "/generate"] if path != "/run_code" else ["/run_tests"])
    for path in paths:
        for headers in ({**JSON, **PAGE}, {**JSON, "Origin": "null"}, {**JSON, "Sec-Fetch-Site": "cross-site"}):
            status, answer = server.call(path, {}, headers)
            assert status == 403 and "web pages" in answer["error"]["message"], (path, status)
        for kind in ("text/plain", "multipart/form-data; boundary=x", "text/plain;charset=UTF-8"):
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


HUGE = [2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 2**80, -1, 0, 1.5, 1e300]
WRONG = [*HUGE, True, "x", "", [], {}, [[]], {"a": 1}, "\x00\x1f", "\U0001f600" * 100]
COMPLETION = {"model": "tiny", "prompt": "1+1=", "max_tokens": 2}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "1"}], "max_tokens": 2}


def test_wrong_values_of_every_field(serve):
    fields = ["prompt", "n", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids",
              "logprobs", "echo", "best_of", "suffix", "stream", "stream_options", "logit_bias", "user", "model",
              "frequency_penalty", "presence_penalty", "repetition_penalty", "ignore_eos", "return_token_ids", "nothing"]
    for path, base, more in (("/v1/completions", COMPLETION, []),
                             ("/v1/chat/completions", CHAT, ["messages", "tools", "tool_choice", "response_format",
                                                             "top_logprobs", "max_completion_tokens", "modalities"])):
        for field in fields + more:
            for value in WRONG:
                status, answer = serve.call(path, {**base, field: value}, JSON)
                assert status in (200, 400, 404, 429), (path, field, value, status, answer)
    for value in WRONG:
        for key in ("text", "input_ids", "sampling_params", "stream", "return_logprob", "rid"):
            assert serve.call("/generate", {"text": "1", key: value}, JSON)[0] in (200, 400, 429), (key, value)
        for key in ("role", "content", "name", "tool_calls"):
            body = {**CHAT, "messages": [{"role": "user", "content": "1", key: value}]}
            assert serve.call("/v1/chat/completions", body, JSON)[0] in (200, 400), (key, value)
    healthy(serve)


def test_many_prompts_times_n_are_counted_exactly(serve):
    for prompts, n in ((1_048_576, 4096), (1_048_576, 2048), (2, 2**31 - 1), (100_000, 4096)):
        body = {"model": "tiny", "prompt": ["1"] * prompts, "n": n, "max_tokens": 1}
        assert serve.call("/v1/completions", body, JSON)[0] in (400, 429), (prompts, n)
    body = {"text": ["1"] * 1_048_576, "sampling_params": {"n": 4096, "max_new_tokens": 1}}
    assert serve.call("/generate", body, JSON)[0] in (400, 429)
    healthy(serve)


def test_null_is_absent_for_every_field(serve):
    nulls = {key: None for key in ("n", "temperature", "top_p", "top_k", "seed", "stop", "logprobs", "stream", "user",
                                   "stream_options", "logit_bias", "presence_penalty", "unknown_to_this_server")}
    assert serve.call("/v1/completions", {**COMPLETION, **nulls}, JSON)[0] == 200
    nulls.update({key: None for key in ("tools", "tool_choice", "response_format", "top_logprobs", "functions", "audio")})
    assert serve.call("/v1/chat/completions", {**CHAT, **nulls}, JSON)[0] == 200
    assert serve.call("/generate", {"text": "1", "input_ids": None, "sampling_params": {"max_new_tokens": 1, "n": None}},
                      JSON)[0] == 200


def test_duplicate_keys_take_the_last(serve):
    body = b'{"model": "other", "prompt": "1", "max_tokens": 1, "max_tokens": 2, "model": "tiny", "ignore_eos": true}'
    status, answer = serve.call("/v1/completions", data=body, headers=JSON)
    assert status == 200 and answer["usage"]["completion_tokens"] == 2


def test_ten_turns_with_the_openai_client(serve):
    client = openai.OpenAI(base_url=serve.url + "/v1", api_key="none", max_retries=0)
    messages = []
    for turn in range(10):
        messages.append({"role": "user", "content": "1"})
        made = client.chat.completions.create(model="tiny", messages=messages, max_tokens=2, temperature=0)
        messages.append(made.choices[0].message.model_dump())
    assert len(messages) == 20


def test_offsets_count_characters_of_the_text(serve):
    for seed in range(5):
        status, made = serve.call("/v1/completions", {**COMPLETION, "max_tokens": 12, "logprobs": 0, "seed": seed}, JSON)
        assert status == 200
        choice = made["choices"][0]
        offsets, text = choice["logprobs"]["text_offset"], choice["text"]
        assert offsets[0] == 0 and offsets == sorted(offsets) and offsets[-1] <= len(text)
        pieces = [text[a:b] for a, b in zip(offsets, [*offsets[1:], len(text)])]
        assert "".join(pieces) == text


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
    """No bound on the time, which a busy machine breaks: that all are answered, and a figure for people."""
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

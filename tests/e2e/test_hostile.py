"""Clients that are slow, wrong or hostile: `longshot serve` and `longshot sandbox` stay up and answer /health."""
import contextlib
import json
import pathlib
import re
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


def one_post(path, body, extra=b""):
    return (b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + extra +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


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
    """Many times as many clients as there are threads for requests without a body."""
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
    """16 GiB if all were kept."""
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


def test_objects_of_many_keys_take_linear_time(serve):
    keys = ",".join(f'"k{i}":0' for i in range(400_000))
    for body in ('{"messages":[{"role":"user","content":"1",%s}],"model":"tiny"}' % keys, "{%s}" % keys,
                 '{"messages":[{"role":"user","content":"1"}],"tools":[{%s}],"model":"tiny","max_tokens":1}' % keys):
        begin = time.monotonic()
        assert serve.call("/v1/chat/completions", data=body.encode(), headers=JSON)[0] in (200, 400)
        assert time.monotonic() - begin < 60, "minutes if each key is compared with all before it"


def test_long_lists_and_texts_are_refused_before_work_is_done(serve):
    for field, value in (("stop", ["x"] * 129), ("stop", "x" * 1025), ("stop", [f"{i}" for i in range(1_000_000)]),
                         ("stop_token_ids", [1] * 1025), ("prompt", "1" * 40_000_000), ("prompt", [1] * 1_000_000)):
        begin = time.monotonic()
        assert serve.call("/v1/completions", {**COMPLETION, field: value}, JSON)[0] == 400, field
        assert time.monotonic() - begin < 20
    long = {"role": "user", "content": "1" * 40_000_000}
    status, answer = serve.call("/v1/chat/completions", {**CHAT, "messages": [long]}, JSON)
    assert status == 400 and answer["error"]["code"] == "context_length_exceeded"


def test_a_client_that_leaves_ends_its_samples_even_with_bytes_unread(serve):
    body = json.dumps({**COMPLETION, "max_tokens": 100, "n": 4, "ignore_eos": True}).encode()
    before = serve.metric("longshot_samples_aborted_total") + serve.metric("longshot_samples_finished_total")
    for more in (b"", b"G", b"GET /health HTTP/1.1\r\n\r\n"):
        for stream in (False, True):
            text = body.replace(b'"max_tokens"', b'"stream": true, "max_tokens"') if stream else body
            with connect(serve) as client:
                client.sendall(one_post(b"/v1/completions", text) + more)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and serve.metric("longshot_samples_running") + serve.metric("longshot_samples_waiting"):
        time.sleep(0.05)
    assert serve.metric("longshot_samples_running") + serve.metric("longshot_samples_waiting") == 0
    after = serve.metric("longshot_samples_aborted_total") + serve.metric("longshot_samples_finished_total")
    assert after >= before


def test_a_stream_for_http_1_0_has_no_chunks(serve):
    body = json.dumps({**COMPLETION, "stream": True}).encode()
    answer = raw(serve, one_post(b"/v1/completions", body).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert status_of(answer) == 200
    content = answer.split(b"\r\n\r\n", 1)[1]
    assert content.startswith(b"data: ") and content.endswith(b"data: [DONE]\n\n"), answer


def test_a_slow_reader_of_a_stream_disturbs_nobody(serve):
    body = json.dumps({**COMPLETION, "max_tokens": 100, "stream": True, "ignore_eos": True}).encode()
    with connect(serve) as slow:
        slow.sendall(one_post(b"/v1/completions", body))
        for _ in range(5):
            assert slow.recv(1)
            assert serve.call("/v1/completions", COMPLETION, JSON)[0] == 200


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

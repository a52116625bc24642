"""Requests with wrong, huge and strange contents to `longshot serve`."""
import json
import time

import openai

from hostile import JSON, connect, healthy, one_post, raw, serve, status_of, tiny  # noqa: F401 (fixtures)


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

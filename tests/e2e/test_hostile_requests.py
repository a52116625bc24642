"""Requests with wrong, huge and strange contents: they are answered without any effect on other requests."""
import json
import os
import time

import openai

from hostile import JSON, connect, healthy, one_post, raw, sandbox, serve, status_of, tiny  # noqa: F401 (fixtures)

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


def test_offsets_end_where_a_stop_string_cuts_the_text(serve):
    stops = [f"{i:02d}" for i in range(100)]
    body = {**COMPLETION, "max_tokens": 12, "logprobs": 0, "stop": stops, "ignore_eos": True}
    for seed in range(8):
        _, whole = serve.call("/v1/completions", {**body, "seed": seed}, JSON)
        _, events = serve.call("/v1/completions", {**body, "seed": seed, "stream": True}, JSON)
        parts = [json.loads(line[6:])["choices"][0] for line in events.splitlines() if line.startswith("data: {")]
        text = whole["choices"][0]["text"]
        assert "".join(part["text"] for part in parts) == text
        for choices in (whole["choices"], parts):
            offsets = [offset for choice in choices for offset in choice["logprobs"]["text_offset"]]
            assert offsets == sorted(offsets) and max(offsets) <= len(text), (text, offsets)


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
    # A request may still lie in the socket when its client has left, so one moment without samples proves nothing.
    deadline = time.monotonic() + 60
    idle = 0
    while idle < 20:
        assert time.monotonic() < deadline, "samples of clients that left are still generated"
        time.sleep(0.05)
        unfinished = serve.metric("longshot_samples_running") + serve.metric("longshot_samples_waiting")
        idle = 0 if unfinished else idle + 1
    after = serve.metric("longshot_samples_aborted_total") + serve.metric("longshot_samples_finished_total")
    assert after > before, "no request was read"


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


def test_a_path_that_never_ends_is_no_model(serve, tmp_path):
    os.mkfifo(tmp_path / "x.gguf")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "config.json")
    (tmp_path / "zero.gguf").symlink_to("/dev/zero")
    for path in (tmp_path / "x.gguf", tmp_path / "d", tmp_path / "zero.gguf", "/dev/zero", "/etc/passwd", "/", "", "\x00"):
        begin = time.monotonic()
        assert serve.call("/update_weights", {"path": str(path)}, JSON)[0] == 400, path
        assert time.monotonic() - begin < 20
    assert serve.call("/health")[1]["weight_version"] == 0


def test_wrong_values_of_every_field_of_the_sandbox(sandbox):
    run = {"language": "python", "code": "print(1)"}
    for path, fields in (("/run_code", ["language", "code", "stdin", "files", "fetch_files", "run_timeout", "compile_timeout",
                                        "memory_limit_MB", "limits", "nothing"]),
                         ("/run_tests", ["tests", "test", "entry_point", "checker", "compare", "tolerance", "float_tolerance",
                                         "preamble", "stop_at_first_failure"])):
        base = run if path == "/run_code" else {**run, "tests": [{"input": "", "output": "1"}]}
        for field in fields:
            assert sandbox.call(path, {**base, field: None}, JSON)[0] in (200, 400), field
            for value in WRONG:
                assert sandbox.call(path, {**base, field: value}, JSON)[0] in (200, 400), (path, field, value)
    for limit in ("cpu_seconds", "wall_seconds", "memory_mb", "processes", "open_files", "file_mb", "disk_mb", "inodes", "output_bytes"):
        for value in (2**63, 2**80, 1e300, -1, "x", [], 0.5):
            assert sandbox.call("/run_code", {**run, "limits": {limit: value}}, JSON)[0] in (200, 400), (limit, value)
    healthy(sandbox)

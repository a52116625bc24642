"""docs/coming-from-verl-and-trl.md: the program accepts each key and each setting that the page prints."""
import functools
import json
import tomllib

import pytest

from foreign_page import KEYS, SETTINGS, defaults
from support import longshot, tiny_model


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Returns (a folder, what the placeholders of the page stand for, the settings that each command needs)."""
    root = tmp_path_factory.mktemp("foreign")
    model, data = tiny_model(root, steps=5)
    rows = [json.loads(line) for line in (data / "sft.jsonl").read_text().splitlines()[:64]]
    pairs = [{"prompt": row["prompt"], "chosen": row["completion"], "rejected": "7"} for row in rows]
    (root / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (root / "none.toml").write_text("")
    needed = {command: {"model.path": f"'{model}'", "trainer.default_local_dir": f"'{root}/never'"} for command in ("train", "sft", "dpo")}
    needed["train"] |= {"data.train_files": f"['{data}/train.jsonl']", "data.val_files": f"['{data}/val.jsonl']",
                        "data.max_prompt_length": "24", "data.max_response_length": "40"}
    needed["sft"] |= {"data.train_files": f"['{data}/sft.jsonl']", "data.max_length": "96"}
    needed["dpo"] |= {"data.train_files": f"['{root}/pairs.jsonl']", "data.max_length": "96"}
    run = root / "run"
    longshot("train", root / "none.toml", *assignments(needed["train"]), f"trainer.default_local_dir={run}",
             "trainer.total_iterations=1", "trainer.test_freq=0")
    return root, {"MODEL": str(model), "RUN": str(run)}, needed


def assignments(settings):
    return [f"{key}={value}" for key, value in settings.items()]


def dry_run(setting, command, overrides):
    """Returns the whole configuration that the program prints."""
    root, _, needed = setting
    done = longshot(command, root / "none.toml", *assignments(needed[command]), *overrides, "--dry-run")
    assert not (root / "never").exists()
    return tomllib.loads(done.stdout)


def value_of(config, key):
    return functools.reduce(lambda table, part: table[part], key.split("."), config)


def as_toml(text):
    """A word without quotes is a text, as on the command line."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@pytest.mark.parametrize("command", ["train", "sft", "dpo"])
def test_every_key_of_the_page_is_accepted(setting, command):
    """With its default, or with the value that this run needs."""
    keys = sorted({own for of, _, own in KEYS if of == command} - setting[2][command].keys())
    config = dry_run(setting, command, [f"{key}={defaults(command)[key]}" for key in keys])
    assert all(value_of(config, key) == as_toml(defaults(command)[key]) for key in keys)


@pytest.mark.parametrize("command, settings", SETTINGS, ids=[" ".join(settings) for _, settings in SETTINGS])
def test_every_value_of_the_page_is_accepted(setting, command, settings):
    overrides = [functools.reduce(lambda text, name: text.replace(name, setting[1][name]), setting[1], text) for text in settings]
    config = dry_run(setting, command, overrides)
    for text in overrides:
        key, value = text.split("=", 1)
        assert value_of(config, key) == as_toml(value), key

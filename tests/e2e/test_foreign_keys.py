"""The tables of docs/coming-from-verl-and-trl.md: each key of another tool is refused with the name of the key here, and the program
accepts each key and each setting that the page prints."""
import functools
import json
import re
import tomllib

import pytest

from support import ROOT, longshot, tiny_model

PAGE = (ROOT / "docs/coming-from-verl-and-trl.md").read_text()
COMMANDS = {"Keys of verl": "train", "Values of verl": "train", "GRPOConfig": "train", "Values of GRPOConfig": "train",
            "SFTConfig": "sft", "DPOConfig": "dpo"}


def tables():
    """(command, cells) of each row of the tables about keys and values, without their heads."""
    command = None
    for line in PAGE.splitlines():
        if line.startswith("## "):
            command = COMMANDS.get(line[3:])
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if command and line.startswith("|") and cells[1] not in ("longshot", "---"):
            yield command, cells


KEYS = [(command, *(cell.strip("`") for cell in cells)) for command, cells in tables() if len(cells) == 2]
VALUES = [(command, cells[0], cells[1]) for command, cells in tables() if len(cells) == 3]
SETTINGS = [(command, cell.strip("`").split()) for command, _, cell in VALUES if cell.startswith("`")]


def test_the_page_has_its_tables():
    assert len(KEYS) > 150 and ("train", "num_generations", "rollout.n") in KEYS and ("dpo", "beta", "dpo.beta") in KEYS
    for command, least in (("train", 70), ("sft", 6), ("dpo", 8)):
        assert sum(row[0] == command for row in SETTINGS) >= least
    for _, theirs, ours in VALUES:
        assert ours in ("none", "always") or re.fullmatch(r"`[\w.]+=\S*( [\w.]+=\S*)*`", ours), (theirs, ours)


@functools.cache
def defaults(command):
    """Of every key, as TOML."""
    return dict(re.findall(r"^\| `([\w.]+)` \| [^|]+ \| `(.*?)` \|", longshot(command, "--reference").stdout, flags=re.M))


@pytest.mark.parametrize("command, key, own", KEYS)
def test_a_key_of_another_tool_names_ours(tmp_path, command, key, own):
    assert own in defaults(command), f"the page names a key that does not exist: {own}"
    if key == own:
        return
    (tmp_path / "run.toml").write_text("")
    message = longshot(command, tmp_path / "run.toml", f"{key}=1", code=2).stderr
    assert f"'{own}'" in message, message


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Returns (what the page's placeholders stand for, the settings that each command needs)."""
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
    """Returns the whole configuration that the program prints, by dotted keys."""
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


def test_the_command_of_the_page(tmp_path):
    (tmp_path / "run.toml").write_text("")
    command, expected = re.search(r"\$ longshot (train .*)\n(longshot: .*)\n", PAGE).groups()
    arguments = [str(tmp_path / "run.toml") if word == "run.toml" else word for word in command.split()]
    assert longshot(*arguments, code=2).stderr.strip() == expected


def test_the_commands_that_follow_a_run_have_the_flags_of_the_page():
    section = PAGE.split("## Following a run")[1].split("\n## ")[0]
    helps = {"longshot track": longshot("track", "--help").stdout,
             "python -m longshot.wandb": (ROOT / "python/longshot/wandb.py").read_text()}
    found = [(program, flag) for span in re.findall(r"`([^`]+)`", section) for program in helps if span.startswith(program)
             for flag in re.findall(r"--\w+", span)]
    assert len(found) == 8
    for program, flag in found:
        assert flag in helps[program], f"{program} {flag}"

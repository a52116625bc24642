"""docs/coming-from-verl-and-trl.md: its tables are whole, and each key of another tool is refused with the name of the key here."""
import re

import pytest

from foreign_page import KEYS, PAGE, SETTINGS, VALUES, defaults
from support import ROOT, longshot


def test_the_page_has_its_tables():
    assert len(KEYS) > 150 and ("train", "num_generations", "rollout.n") in KEYS and ("dpo", "beta", "dpo.beta") in KEYS
    for command, least in (("train", 50), ("sft", 6), ("dpo", 8)):
        assert sum(row[0] == command for row in SETTINGS) >= least
    for _, theirs, ours in VALUES:
        assert ours in ("none", "always") or re.fullmatch(r"`[\w.]+=\S*( [\w.]+=\S*)*`", ours), (theirs, ours)


def test_every_key_of_the_page_exists():
    assert [(command, own) for command, _, own in KEYS if own not in defaults(command)] == []


# A row that several tables have is tried with the command of the first.
FOREIGN = {(key, own): command for command, key, own in reversed(KEYS) if key != own}


@pytest.mark.parametrize("key, own", FOREIGN)
def test_a_key_of_another_tool_names_ours(tmp_path, key, own):
    (tmp_path / "run.toml").write_text("")
    message = longshot(FOREIGN[key, own], tmp_path / "run.toml", f"{key}=1", code=2).stderr
    assert f"'{own}'" in message, message


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

"""The tables of docs/coming-from-verl-and-trl.md: each key of another tool is refused with the name of the key here."""
import re

import pytest

from support import ROOT, longshot

PAGE = (ROOT / "docs/coming-from-verl-and-trl.md").read_text()
ROWS = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", PAGE, flags=re.M)


def test_the_page_has_both_tables():
    assert len(ROWS) > 50 and ("num_generations", "rollout.n") in ROWS and ("algorithm.adv_estimator", "algorithm.name") in ROWS


@pytest.mark.parametrize("key, own", ROWS, ids=[key for key, _ in ROWS])
def test_a_key_of_another_tool_names_ours(tmp_path, key, own):
    known = longshot("train", "--reference").stdout
    assert f"| `{own}` |" in known, f"the page names a key that does not exist: {own}"
    if key == own:
        return
    (tmp_path / "run.toml").write_text("")
    message = longshot("train", str(tmp_path / "run.toml"), f"{key}=1", code=2).stderr
    assert f"'{own}'" in message, message


def test_the_command_of_the_page(tmp_path):
    (tmp_path / "run.toml").write_text("")
    command, expected = re.search(r"\$ longshot (train .*)\n(longshot: .*)\n", PAGE).groups()
    arguments = [str(tmp_path / "run.toml") if word == "run.toml" else word for word in command.split()]
    assert longshot(*arguments, code=2).stderr.strip() == expected

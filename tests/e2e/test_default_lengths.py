"""Commands without --max-tokens with a model that has fewer positions than their default: they take what the model has, and say so."""
import json

import pytest

from support import longshot, tiny_model

SAID = "the model has 128 positions"


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    root = tmp_path_factory.mktemp("lengths")
    model, _ = tiny_model(root, steps=20)
    rows = [{"prompt": f"{i}+1=", "answer": str(i + 1)} for i in range(4)]
    judged = [{"prompt": "1+1=", "completion": str(i), "label": i == 2} for i in range(4)]
    for name, list_of_rows in (("rows", rows), ("judged", judged)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in list_of_rows))
    return root, model


def words_of(command, root, model):
    return [*command, "--model", model] if command[0] != "sample" else [*command, "--model", model, "--out", root / "samples"]


COMMANDS = [["eval", "--data", "rows.jsonl"], ["generate", "--input", "rows.jsonl"], ["generate", "--prompt", "1+1="],
            ["sample", "rows.jsonl", "--n", "1", "--temperature", "0"],
            ["rm-eval", "--data", "judged.jsonl", "--prompt", "{question}{response}"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_default_is_lowered_with_a_word(setting, command):
    root, model = setting
    command = [root / word if word.endswith(".jsonl") else word for word in command]
    errors = longshot(*words_of(command, root, model)).stderr
    assert SAID in errors and "not the default of 512" in errors and errors.count(SAID) == 1
    if command[0] == "sample":
        first = json.loads((root / "samples/journal.jsonl").read_text().splitlines()[0])
        assert 100 < first["settings"]["max_tokens"] < 128, first
        assert longshot(*words_of(command, root, model)).returncode == 0  # the run that has ended is found again


@pytest.mark.parametrize("command", [COMMANDS[0], COMMANDS[3], COMMANDS[4]])
def test_a_length_that_the_user_gave_is_kept_or_refused(setting, command, tmp_path):
    root, model = setting
    command = [root / word if word.endswith(".jsonl") else word for word in command]
    assert SAID not in longshot(*words_of(command, tmp_path, model), "--max-tokens", 16).stderr
    errors = longshot(*words_of(command, tmp_path / "more", model), "--max-tokens", 512, code=2).stderr
    assert "128 positions" in errors and "not the default" not in errors


def test_prompts_have_half_of_the_positions_or_what_is_said(setting, tmp_path):
    root, model = setting
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": "1" * n, "answer": "1"}) + "\n" for n in (9, 50, 90)))
    errors = longshot("eval", "--model", model, "--data", rows, "--output", tmp_path / "half.json").stderr
    assert json.loads((tmp_path / "half.json").read_text())["problems"] == 2 and SAID in errors
    longshot("eval", "--model", model, "--data", rows, "--max-prompt-length", 100, "--output", tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text())["problems"] == 3

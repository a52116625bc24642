"""bench/algorithms: each of its arms is a configuration that the program accepts, and a failure says which arm it was."""
import argparse
import importlib.machinery
import importlib.util
import pathlib

import pytest

from support import LONGSHOT, ROOT, longshot, tiny_model


def load():
    """The program as a module; its name has no suffix."""
    loader = importlib.machinery.SourceFileLoader("algorithms", str(ROOT / "bench/algorithms"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("algorithms", loader))
    loader.exec_module(module)
    return module


BENCH = load()


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    model, data = tiny_model(tmp_path_factory.mktemp("arms"), steps=20)
    return model, [f"data.train_files=['{data}/train.jsonl']", f"data.val_files=['{data}/val.jsonl']"]


@pytest.mark.parametrize("name", BENCH.ARMS)
def test_an_arm_is_a_configuration_without_idle_keys(setting, tmp_path, name):
    model, data = setting
    options = argparse.Namespace(model=model)
    done = longshot("train", *BENCH.arguments(options, name, tmp_path / "run", 1), *data, "--dry-run")
    assert "has no effect" not in done.stderr


def test_a_failure_names_the_arm_and_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # arms name a file of the checkout
    options = argparse.Namespace(longshot=LONGSHOT, model=pathlib.Path("nowhere"), folder=tmp_path)
    with pytest.raises(SystemExit, match="(?s)^Dr. GRPO, seed 7: .*code 2\n.*nowhere"):
        BENCH.run(options, "Dr. GRPO", 7)

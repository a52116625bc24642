"""Fixtures of the tests that run commands as an ordinary user."""
import pathlib
import shutil
import subprocess

import pytest

from ordinary_user import BUILD, OrdinaryUser, can_start, open_folders
from support import LONGSHOT


@pytest.fixture(scope="session")
def startable_program(tmp_path_factory):
    """The program under test, or its installed tree where the checkout lies in a folder that others cannot enter."""
    if can_start(LONGSHOT):
        yield pathlib.Path(LONGSHOT).resolve()
        return
    tree = tmp_path_factory.mktemp("installed")
    open_folders(tree, tmp_path_factory)
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tree], check=True, capture_output=True)
    assert can_start(tree / "bin/longshot")
    yield tree / "bin/longshot"
    shutil.rmtree(tree)


@pytest.fixture
def user(tmp_path, tmp_path_factory, startable_program):
    open_folders(tmp_path, tmp_path_factory)
    return OrdinaryUser(tmp_path / "home", startable_program)

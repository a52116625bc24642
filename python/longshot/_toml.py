"""Python values as TOML."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any


def value_text(value: Any) -> str:
    """One value, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    raise TypeError(f"a configuration cannot hold {type(value).__name__} {value!r}")


def document(config: Mapping[str, Any]) -> str:
    """A configuration: {"model": {"path": ...}} and {"model.path": ...} mean the same."""
    lines: list[str] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            lines += [f"{key}.{name} = {value_text(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key} = {value_text(value)}")
    return "\n".join(lines) + "\n"

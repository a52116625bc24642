"""Python values as TOML."""

from __future__ import annotations

import json
import math
import numbers
import operator
import os
from collections.abc import Mapping
from typing import Any


def value_text(value: Any) -> str:
    """One value, on one line."""
    if type(value).__name__ in ("bool", "bool_"):  # Python's, and numpy's of either name
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        return repr(operator.index(value))
    if isinstance(value, numbers.Real):
        value = float(value)
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))} = {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    raise TypeError(f"a configuration cannot hold {type(value).__name__} {value!r}")


def quoted(text: str) -> str:
    """TOML has no surrogate pairs, and no raw DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def document(config: Mapping[str, Any]) -> str:
    """A configuration: {"model": {"path": ...}} and {"model.path": ...} mean the same."""
    lines: list[str] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            lines += [f"{key}.{name} = {value_text(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key} = {value_text(value)}")
    return "\n".join(lines) + "\n"

"""`module:Class` and `module:function` among the scorers that somebody names, and what stands there."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from evictlab_tools.errors import UsageError
from evictlab_tools.files import sha256_of_bytes

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_external(text: str) -> bool:
    """`kvpress:SnapKVPress`: other scorers' parameters have values, and formulas a sign."""
    return _NAME.fullmatch(text) is not None


def separate(lists: Sequence[str]) -> tuple[list[str], list[str]]:
    """Python's names in lists of scorers as the command line takes them, each once, and the lists without them."""
    names: dict[str, None] = {}
    others = []
    for texts in lists:
        rest = []
        for part in _split(texts):
            if is_external(part.strip()):
                names[part.strip()] = None
            else:
                rest.append(part)
        if rest:
            others.append(",".join(rest))
    return list(names), others


def _split(texts: str) -> list[str]:
    """At the commas outside of parentheses, which formulas and wrappers have."""
    parts, depth = [""], 0
    for sign in texts:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def found(text: str) -> Any:
    """What the name stands for. A module may lie in the folder where the command runs, as for `python -m`."""
    module, _, name = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        more = "; pip install 'evictlab-tools[kvpress]' has it" if module.split(".")[0] == "kvpress" else ""
        raise UsageError(f"scorer '{text}': {error}{more}") from None
    except AttributeError:
        raise UsageError(f"scorer '{text}': the module {module} has no {name}") from None
    except Exception as error:  # a module's own code, which may do anything
        raise UsageError(f"scorer '{text}': importing {module} failed: {type(error).__name__}: {error}") from None


def origin(thing: Any) -> str:
    """The package and version that it is of, else the SHA-256 of its file: what a figure follows from."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    top = module.split(".")[0]
    for package in packages_distributions().get(top, []):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    file = getattr(sys.modules.get(module), "__file__", None)
    return f"sha256:{sha256_of_bytes(Path(file).read_bytes())}" if file else module

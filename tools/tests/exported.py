"""`evictlab export --to kvpress`, as tests use it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from evictlab_tools.library import USUAL, Lab
from evictlab_tools.shapes import Shape


def scorer(rule: str) -> str:
    return rule if "@" in rule else f"={rule}"


@cache
def _program() -> tuple[Path, Path]:
    return Lab().library.program, Path(mkdtemp(prefix="evictlab-presses-"))


@cache
def export(formula: str, calibration: Path | None = None, shape: Shape = USUAL, keep: int | None = None) -> Any:
    """The module of a formula's exported press."""
    program, folder = _program()
    name = f"made_{len(list(folder.iterdir()))}"
    file = folder / f"{name}_press.py"
    command: list[str | Path] = [
        program,
        "export",
        scorer(formula),
        "--to",
        "kvpress",
        "--name",
        name,
        "--output",
        file,
    ]
    command += [] if calibration is None else ["--calibration", calibration]
    command += [] if keep is None else ["--keep", str(keep)]
    for name, value in asdict(shape).items():
        if value != getattr(USUAL, name):
            command += ["--" + name.replace("_", "-"), str(value)]
    subprocess.run(command, check=True, capture_output=True)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def press_of(module: Any) -> Any:
    return getattr(module, f"Made{module.__name__.split('_')[1]}Press")

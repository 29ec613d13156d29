"""The PyTorch forms of columns and formulas, as `evictlab export` writes them: export/torch holds each once."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from evictlab_tools.binding import Library
from evictlab_tools.errors import ToolError

_folder = TemporaryDirectory(prefix="evictlab-scores-")


@cache
def form(library: Library, formula: str, calibration: Path | None) -> ModuleType:
    """scores(layer) of a formula, and COLUMNS by name; ToolError where a column has no PyTorch form."""
    name = f"evictlab_scores_{len(list(Path(_folder.name).iterdir()))}"
    file = Path(_folder.name) / f"{name}.py"
    learned = [] if calibration is None else [f"--calibration={calibration}"]
    library.run_program("export", f"={formula}", "--to", "torch", "--name", "scores", "--output", str(file), *learned)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ToolError(f"{file}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module

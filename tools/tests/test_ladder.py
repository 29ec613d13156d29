"""Imports go one way: down the ladder of CONTRIBUTING.md, and inside a package in no circle."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "evictlab_tools"
SOURCES = ROOT / "tools/src" / PACKAGE

Imports = dict[str, set[str]]  # of modules, by their names inside the package; "" is the package itself


def ladder(page: str) -> list[list[str]]:
    """From the top down, what stands on each rung."""
    block = page.split(f"```ladder {SOURCES.relative_to(ROOT)}\n", 1)[1].split("```", 1)[0]
    return [line.split() for line in block.splitlines()]


def imports_of(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the package in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports() -> Imports:
    modules = {}
    for path in SOURCES.rglob("*.py"):
        parts = path.relative_to(SOURCES).with_suffix("").parts
        modules[".".join(part for part in parts if part != "__init__")] = path
    found: Imports = {}
    for module, path in modules.items():
        found[module] = set()
        for name in imports_of(path.read_text("utf-8")):
            package, _, wanted = name.partition(".")
            if package == PACKAGE:
                found[module].add(wanted if wanted in modules else wanted.rpartition(".")[0])
    return found


def rung_name(module: str) -> str:
    return module.partition(".")[0]


def climbing(found: Imports, rungs: list[list[str]]) -> list[str]:
    """What imports something that stands no lower than itself, outside its own package."""
    rung = {name: number for number, names in enumerate(rungs) for name in names}
    rung[""] = len(rungs)
    return [
        f"{module} imports {wanted}"
        for module, all_wanted in sorted(found.items())
        for wanted in sorted(all_wanted)
        if rung_name(module) != rung_name(wanted) and rung[rung_name(module)] >= rung[rung_name(wanted)]
    ]


def test_every_import_goes_down_the_ladder() -> None:
    rungs = ladder((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    found = imports()
    assert sorted(name for names in rungs for name in names) == sorted({rung_name(module) for module in found} - {""})
    assert climbing(found, rungs) == []


def test_no_modules_import_each_other() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' -> '.join(error.args[1])}")


def test_an_import_that_climbs_is_found() -> None:
    rungs = [["verdict"], ["capture", "press"], ["errors"]]
    found: Imports = {"verdict.judge": {"capture", "verdict.masked"}, "press": {"errors", "capture"}, "errors": set()}
    assert climbing(found, rungs) == ["press imports capture"]
    assert climbing({"errors": {"verdict.judge"}}, rungs) == ["errors imports verdict.judge"]
    assert list(imports_of("def late():\n    from a.b import c, d\nimport e.f")) == ["e.f", "a.b.c", "a.b.d"]

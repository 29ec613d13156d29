"""The package `evictlab` (pyproject.toml above tools/) has the commands and requirements of the tools by themselves."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info < (3, 11):
    pytest.skip("reads TOML, which Python 3.11 can", allow_module_level=True)
import tomllib

ROOT = Path(__file__).resolve().parents[2]


def project(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def test_its_commands_are_the_tools_and_the_program() -> None:
    package, tools = project(ROOT)["scripts"], project(ROOT / "tools")["scripts"]
    assert package.pop("evictlab") == "evictlab.program:main"
    assert package == tools


def test_its_requirements_are_the_tools_by_extra() -> None:
    package, tools = project(ROOT), project(ROOT / "tools")
    extras = package["optional-dependencies"]
    assert sorted(package["dependencies"] + extras["torch"]) == sorted(tools["dependencies"])
    assert extras["kvpress"] == ["evictlab[torch]", *tools["optional-dependencies"]["kvpress"]]
    assert extras["ray"] == tools["optional-dependencies"]["ray"]


def test_evictlab_gives_what_programs_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    evictlab = importlib.import_module("evictlab")
    assert evictlab.Lab().open("snapkv@kvpress").text == "snapkv@kvpress"
    assert evictlab.__version__ == (ROOT / "VERSION").read_text("ascii").strip()
    assert set(dir(evictlab)) == set(evictlab.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        evictlab.Nothing  # noqa: B018

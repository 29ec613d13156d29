"""Every file says its licence, in itself or in REUSE.toml, and every licence that is named lies in LICENSES."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {".c", ".cmake", ".cpp", ".h", ".hpp", ".in", ".py", ".sh", ".toml", ".txt"}
LINE = re.compile(rb"SPDX-License-Identifier: ([\w.-]+)")


@cache
def files() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a checkout: which files are the repository's is not known")
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


@cache
def named_licences() -> list[tuple[list[str], str]]:
    """Patterns and the licence of what they match; the last that does counts. Python 3.10 reads no TOML."""
    blocks = (ROOT / "REUSE.toml").read_text("utf-8").split("[[annotations]]")[1:]
    found = []
    for block in blocks:
        (paths,) = re.findall(r"^path = (.*)$", block, re.MULTILINE)
        (licence,) = re.findall(r'^SPDX-License-Identifier = "(.*)"$', block, re.MULTILINE)
        found.append((re.findall(r'"([^"]+)"', paths), licence))
    return found


def annotated(name: str) -> str:
    licence = ""
    for patterns, named in named_licences():
        if any(pattern == "**" or PurePosixPath(name).match(pattern) for pattern in patterns):
            licence = named
    return licence


def identifiers(expression: str) -> set[str]:
    return set(expression.split()) - {"AND", "OR"}


def test_every_source_has_a_licence_line() -> None:
    sources = [name for name in files() if Path(name).suffix in SOURCES or name.startswith("scripts/")]
    assert len(sources) > 800
    without = [name for name in sources if not LINE.search((ROOT / name).read_bytes())]
    assert without == [name for name in without if name.startswith("LICENSES/")]


def test_every_licence_that_is_named_lies_beside() -> None:
    named = {licence for _, expression in named_licences() for licence in identifiers(expression)}
    assert named == {path.stem for path in (ROOT / "LICENSES").iterdir()}
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "LICENSES/MIT.txt").read_bytes()


def test_the_shipped_suite_has_the_licences_of_its_weights_and_texts() -> None:
    suite = json.loads((ROOT / "suites/smollm2/suite.json").read_text("utf-8"))
    texts = {entry["file"]: entry["licence"] for entry in suite["files"]}
    for file in (ROOT / "suites/smollm2").glob("*.safetensors"):
        said = texts.get(file.name, "public domain")
        free = said in ("public domain", "verbatim copies permitted")
        expected = {suite["licence"]} if free else {suite["licence"], said}
        assert identifiers(annotated(f"suites/smollm2/{file.name}")) == expected

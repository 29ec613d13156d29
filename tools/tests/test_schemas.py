"""The JSON that the program prints is what the installed schemas say, by jsonschema."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evictlab_tools.made import made as made_here

jsonschema = pytest.importorskip("jsonschema")

ROOT = Path(__file__).parents[2]
SCHEMAS = {path.name.removesuffix(".schema.json"): path for path in (ROOT / "report" / "schemas").glob("*.json")}
SMALL = ["--suite", "micro", "--seq-len", "16", "--layers", "1", "--patterns", "1"]


def validator(name: str) -> Any:
    schema = json.loads(SCHEMAS[name].read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("evictlab", path=str(ROOT / "build" / "release" / "bin")) or shutil.which("evictlab")
    if found is None:
        pytest.skip("evictlab is not built")
    return found


def printed(program: str, *arguments: str, where: Path) -> Any:
    done = subprocess.run([program, *arguments], cwd=where, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_a_schema_is_named_as_what_it_is_of() -> None:
    names = ["bench-2", "log-1", "status-1", "tasks-1", "verdict-1"]
    assert sorted(SCHEMAS) == [f"evictlab-{name}" for name in names]
    for name in SCHEMAS:
        assert validator(name).schema["properties"]["schema"]["const"].replace("/", "-") == name


def test_results_say_which_version_made_them_and_when(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    arguments = ["bench", *SMALL, "--scorers", "h2o", "--format", "json", "--no-cost"]
    made = printed(program, *arguments, where=tmp_path)["made"]
    version = (ROOT / "VERSION").read_text().strip()
    assert (made["version"], made["date"]) == (version, "1970-01-01T00:00:00Z")
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert printed(program, *arguments, where=tmp_path)["made"]["date"] > "2020"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    own = made_here()
    assert (own["version"], own["date"]) == (version, "1970-01-01T00:00:00Z")
    assert not (ROOT / ".git").exists() or re.fullmatch("[0-9a-f]{12}", own["commit"])


def test_bench_prints_what_its_schema_says(program: str, tmp_path: Path) -> None:
    bench = printed(program, "bench", *SMALL, "--scorers", "h2o,=recent_attn", "--format", "json", where=tmp_path)
    validator("evictlab-bench-2").validate(bench)
    bench["rows"][0]["splits"]["test"]["avg"] = "0.5"
    with pytest.raises(jsonschema.ValidationError):
        validator("evictlab-bench-2").validate(bench)
    del bench["rows"]
    with pytest.raises(jsonschema.ValidationError, match="'rows' is a required property"):
        validator("evictlab-bench-2").validate(bench)


def test_a_captured_bench_is_what_the_schema_says(program: str, tmp_path: Path) -> None:
    suite = str(ROOT / "suites" / "smollm2")
    scorers = "adakv@kvpress(snapkv@kvpress),knorm@kvpress"
    of = ["--suite", suite, "--patterns", "1", "--scorers", scorers, "--retention"]
    validator("evictlab-bench-2").validate(printed(program, "bench", *of, "0.25", "--format", "json", where=tmp_path))


def test_status_and_log_print_what_their_schemas_say(program: str, tmp_path: Path) -> None:
    options = ["--state", "run.json", "--population", "10", "--generations", "1", "--seed", "1", "--quiet"]
    run = ["evolve", *SMALL, *options]
    subprocess.run([program, *run], cwd=tmp_path, check=True, capture_output=True)
    for command in ("status", "log"):
        validator(f"evictlab-{command}-1").validate(printed(program, command, "run.json", "--json", where=tmp_path))

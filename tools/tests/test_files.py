"""No output takes the place of an input, and nothing is written over that was not ours."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evictlab_tools.documents import manifest_files
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import check_output, write_whole
from evictlab_tools.suite import SuiteFolder, would_overwrite
from evictlab_tools.tuning.command import command as tune
from evictlab_tools.verdict.command import command as verdict
from evictlab_tools.verdict.journal import Journal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("notes")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "suite.json").write_text("{}")
    (tmp_path / "link").symlink_to("text.txt")
    os.link(tmp_path / "text.txt", tmp_path / "second")
    return tmp_path


@pytest.mark.parametrize("output", ["text.txt", "suite/../text.txt", "link", "second", "suite/suite.json", "new.txt"])
def test_an_output_is_no_input_by_any_name(folder: Path, output: str) -> None:
    inputs = [folder / "text.txt", folder / "suite", folder / "new.txt"]
    with pytest.raises(UsageError, match="is not overwritten"):
        check_output(folder / output, inputs)
    check_output(folder / "other.json", inputs)


def test_the_commands_look_before_they_load_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    manifest = {"format": "evictlab-documents/1", "documents": [{"file": "text.txt"}]}
    (folder / "documents.json").write_text(json.dumps(manifest))
    (folder / "mine.formula").write_text("recent_attn")
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for arguments in (
        ["nowhere", "text.txt", "--output", "text.txt"],
        ["nowhere", "documents.json", "--output", "text.txt"],
        ["nowhere", "documents.json", "--journal", "documents.json"],
        ["nowhere", "suite", "--output", "suite/suite.json"],
        ["nowhere", "text.txt", "--scorers", "h2o@seed,mine.formula", "--output", "mine.formula"],
        ["nowhere", "text.txt", "--correlate", "mine.formula", "--output", "mine.formula"],
    ):
        with pytest.raises(UsageError, match="is not overwritten"):
            verdict(arguments)
    for arguments in (
        ["nowhere", "text.txt", "--formula", "mine.formula", "--output", "mine.formula"],
        ["nowhere", "documents.json", "--formula", "recent_attn", "--output", "second"],
    ):
        with pytest.raises(UsageError, match="is not overwritten"):
            tune(arguments)
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_link_stays_and_what_lies_beside_is_left_alone(folder: Path) -> None:
    (folder / "text.txt.part").write_text("mine")
    write_whole(folder / "link", b"new")
    assert (folder / "link").is_symlink()
    assert (folder / "text.txt").read_bytes() == b"new"
    assert (folder / "text.txt.part").read_text() == "mine"
    assert not list(folder.glob("*.[0-9]*.part"))


@pytest.mark.parametrize("content", ["The last line has no end", "notes\nand more", '{"format": "other"}\n'])
def test_a_file_of_others_is_no_journal(folder: Path, content: str) -> None:
    (folder / "notes").write_text(content)
    with pytest.raises(ToolError, match="notes"):
        Journal(folder / "notes", {"by": "test"})
    assert (folder / "notes").read_text() == content


def test_a_capture_writes_over_no_model_and_removes_nothing_elsewhere(folder: Path) -> None:
    assert would_overwrite(folder, folder)
    assert would_overwrite(folder / "suite", folder / "suite" / "model.safetensors")
    assert would_overwrite(folder / "suite", folder / "suite" / "suite.json")
    assert not would_overwrite(folder / "suite", folder / "suite" / "documents.json")
    assert not would_overwrite(folder / "suite", folder / "model.safetensors")
    entry = {"file": "../text.txt", "sha256": "", "parameters": ""}
    (folder / "suite" / "suite.json").write_text(json.dumps({"files": [entry]}))
    with pytest.raises(ToolError, match="does not lie in its folder"):
        SuiteFolder(folder / "suite")


def test_manifests_name_their_texts(folder: Path) -> None:
    (folder / "documents.json").write_text(json.dumps({"documents": [{"file": "text.txt"}, 3]}))
    assert manifest_files([folder / "documents.json", folder / "text.txt"]) == [folder / "text.txt"]

"""The command: suites, going on after a stop, and messages."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import encode, make_model, make_source

from evictlab_tools import __version__
from evictlab_tools import capture as tool
from evictlab_tools.capture import Settings, capture_suite, parse_layers
from evictlab_tools.documents import MANIFEST_FORMAT, Document, read_inputs
from evictlab_tools.errors import ToolError, UsageError, run_command
from evictlab_tools.library import Lab
from evictlab_tools.models import ModelSource
from evictlab_tools.shard import Shard, parse_shard
from evictlab_tools.suite import Piece, SuiteFolder
from evictlab_tools.tokenised import TokenisedDocument
from evictlab_tools.trace_file import TraceFile
from evictlab_tools.uncompressed import Uncompressed

SETTINGS = Settings(prompt=30, continuation=10, dtype="i8")


def text(seed: int, length: int = 60) -> str:
    return "".join(chr(97 + int(i)) for i in np.random.default_rng(seed).integers(0, 26, length))


def documents() -> list[Document]:
    splits = ("train", "valid", "test")
    return [
        Document(f"doc {i}", "prose", split, text(i), f"source {i}", "MIT", (i, i + 1))
        for i, split in enumerate(splits)
    ]


def run_capture(folder: Path, items: list[Document], settings: Settings = SETTINGS) -> dict[str, Any]:
    capture_suite(make_source("llama"), items, settings, folder, name="tiny", licence="MIT")
    suite: dict[str, Any] = json.loads((folder / "suite.json").read_text())
    return suite


def test_suite_lists_what_is_in_the_folder(tmp_path: Path) -> None:
    suite = run_capture(tmp_path, documents())
    assert suite["format"] == "evictlab-suite/1"
    assert (suite["name"], suite["model"], suite["licence"]) == ("tiny", "tiny-llama", "MIT")
    assert (suite["num_layers"], suite["prompt_len"], suite["continuation_len"]) == (4, 30, 10)
    assert [(f["split"], f["document"], f["kind"], f["layers"]) for f in suite["files"]] == [
        ("train", "doc 0", "prose", [0, 1]),
        ("valid", "doc 1", "prose", [1, 2]),
        ("test", "doc 2", "prose", [2, 3]),
    ]
    named = [*suite["files"], suite["model_file"]]
    assert {f["file"] for f in named} | {"suite.json"} == {path.name for path in tmp_path.iterdir()}
    for entry in named:
        assert hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    trace = TraceFile(tmp_path / suite["files"][1]["file"])
    expected = {"document": "doc 1", "split": "valid", "kind": "prose", "text_source": "source 1", "layers": "1,2",
                "prompt_len": "30", "num_layers": "4"}  # fmt: skip
    assert expected.items() <= trace.metadata.items()
    assert trace.stored("token_type").tolist() == [2] + [0] * 39
    assert trace.stored("token_ids")[1] == 1 + ord(text(1)[0])


def test_capture_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[str] = []
    make_trace = tool.make_trace

    def stops_at_the_second(capture: tool.Capture, item: TokenisedDocument) -> tuple[Iterator[Piece], Uncompressed]:
        if captured:
            raise KeyboardInterrupt
        captured.append(item.document.name)
        return make_trace(capture, item)

    monkeypatch.setattr(tool, "make_trace", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_capture(tmp_path / "stopped", documents())
    assert not (tmp_path / "stopped" / "suite.json").exists()

    def counts(capture: tool.Capture, item: TokenisedDocument) -> tuple[Iterator[Piece], Uncompressed]:
        captured.append(item.document.name)
        return make_trace(capture, item)

    monkeypatch.setattr(tool, "make_trace", counts)
    resumed = run_capture(tmp_path / "stopped", documents())
    assert captured == ["doc 0", "doc 1", "doc 2"]
    assert resumed == run_capture(tmp_path / "whole", documents())

    captured.clear()
    assert run_capture(tmp_path / "whole", documents()) == resumed
    assert captured == []  # all is finished, so nothing was captured, nor the model loaded

    damaged = tmp_path / "whole" / resumed["files"][1]["file"]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x07")
    changed = documents()
    changed[2] = dataclasses.replace(changed[2], layers=(0,))
    again = run_capture(tmp_path / "whole", changed)
    assert captured == ["doc 1", "doc 2"]
    assert again["files"][:2] == resumed["files"][:2]


def test_parts_that_many_processes_capture_make_the_suite_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_capture(tmp_path / "whole", documents())
    folder = tmp_path / "parts"
    captured: list[str] = []
    make_trace = tool.make_trace

    def counts(capture: tool.Capture, item: TokenisedDocument) -> tuple[Iterator[Piece], Uncompressed]:
        captured.append(item.document.name)
        return make_trace(capture, item)

    def part(index: int, count: int) -> None:
        capture_suite(make_source("llama"), documents(), SETTINGS, folder, name="tiny", licence="MIT",
                      shard=Shard(index, count))  # fmt: skip

    monkeypatch.setattr(tool, "make_trace", counts)
    part(2, 2)
    assert captured == ["doc 1"] and not (folder / "suite.json").exists()
    elsewhere = SuiteFolder(folder, Shard(3, 3))  # one that begins before the next has written anything
    part(1, 2)
    assert captured == ["doc 1", "doc 0", "doc 2"]
    elsewhere.write("stale.safetensors", "of another time", [b""])
    part(1, 2)
    assert run_capture(folder, documents()) == whole  # puts them together
    assert captured == ["doc 1", "doc 0", "doc 2"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()
    }


def test_a_suite_says_when_it_was_captured_and_is_the_same_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_capture(tmp_path / "a", documents())
    assert first["made"].items() >= {"version": __version__, "date": "2023-11-14T22:13:20Z"}.items()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    assert run_capture(tmp_path / "a", documents()) == first  # nothing was captured
    later = run_capture(tmp_path / "b", documents())
    assert later["made"]["date"] == "2027-01-15T08:00:00Z"
    assert {**later, "made": first["made"]} == first
    library = Lab().library
    assert library.suite_hash(str(tmp_path / "a")) == library.suite_hash(str(tmp_path / "b"))
    del later["made"]  # as suites were before
    (tmp_path / "b" / "suite.json").write_text(json.dumps(later))
    assert library.suite_hash(str(tmp_path / "b")) == library.suite_hash(str(tmp_path / "a"))
    assert run_capture(tmp_path / "b", documents()) == later


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "/2", "1/x", "-1/2", "1/99999999", "1/2/3"])
def test_a_part_is_one_of_so_many(text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard .*: write I/N"):
        parse_shard(text)


def test_a_suite_says_what_the_model_makes_of_each_document(tmp_path: Path) -> None:
    items = documents()
    items[0] = dataclasses.replace(items[0], answers=((10, 12), (33, 35), (37, 50)))  # before, in, past its end
    suite = run_capture(tmp_path / "answers", items)
    said = [entry["uncompressed"] for entry in suite["files"]]
    for item, found in zip(items, said, strict=True):
        ids = encode(item.text)[:40]
        with torch.no_grad():
            logits = make_model("llama", "eager")(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected = -float(logits[29:39].gather(1, torch.tensor(ids[30:])[:, None]).mean())
        assert found["nll"] == pytest.approx(expected, abs=1e-4)
    assert [[one["tokens"] for one in found.get("lookups", [])] for found in said] == [[[34, 36]], [], []]
    plain = run_capture(tmp_path / "plain", documents())
    assert [f["sha256"] for f in plain["files"]] == [f["sha256"] for f in suite["files"]]  # and so the suite's hash
    for entry in plain["files"]:
        del entry["uncompressed"]  # as suites were before they said so
    (tmp_path / "plain" / "suite.json").write_text(json.dumps(plain))
    assert run_capture(tmp_path / "plain", documents())["files"][1]["uncompressed"] == said[1]


def test_finished_suite_needs_no_model(tmp_path: Path) -> None:
    run_capture(tmp_path, documents())

    def fails(attention: str) -> Any:
        raise AssertionError(attention)

    source: ModelSource = dataclasses.replace(make_source("llama"), load=fails)
    capture_suite(source, documents(), SETTINGS, tmp_path, name="tiny", licence="MIT")
    assert run_capture(tmp_path, documents()[:2])["files"][-1]["document"] == "doc 1"
    assert not (tmp_path / "doc_2.safetensors").exists()


def test_documents_must_fit_and_be_parted(tmp_path: Path) -> None:
    short = [Document("short", "prose", "test", text(1, 20), "s", "MIT", origin="short.txt")]
    with pytest.raises(ToolError, match=r"short\.txt: 21 tokens.*need 40.*longer text"):
        run_capture(tmp_path, short)
    with pytest.raises(ToolError, match="layer 9 is not in tiny-llama, which has layers 0 to 3"):
        run_capture(tmp_path, [dataclasses.replace(documents()[0], layers=(1, 9))])
    settings = dataclasses.replace(SETTINGS, prompt=90)
    common = text(5, 70)
    items = [
        Document("a", "prose", "train", text(1, 30) + common, "s", "MIT"),
        Document("b", "prose", "test", common + text(2, 40), "s", "MIT"),
    ]
    with pytest.raises(ToolError, match=r'"a" \(train\) and "b" \(test\) share 64 tokens'):
        run_capture(tmp_path, items, settings)
    run_capture(tmp_path, [items[0], dataclasses.replace(items[1], split="train")], settings)


ENTRY = {"document": "a", "kind": "prose", "split": "train", "file": "a.txt", "source": "s", "licence": "MIT"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, r'documents\[0\]: unknown split "dev"; known are train, valid, test'),
        ({"kind": None}, r'documents\[0\]: "kind" is missing'),
        ({"file": "b.txt"}, r"b\.txt: there is no such text file"),
        ({"file": "empty.txt"}, r"empty\.txt: the text is empty"),
        ({"file": "latin1.txt"}, r"latin1\.txt: not UTF-8.*iconv"),
        ({"licens": "MIT"}, r'unknown field "licens"; known are answers, document'),
        ({"layers": [1, "2"]}, r'"layers" is not a list of layer numbers'),
        ({"answers": [[3, 99]]}, r'"answers" is not a list of places .* among the 9 characters'),
    ],
)
def test_mistakes_in_a_manifest_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some text")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9")
    manifest = tmp_path / "documents.json"
    entry = {key: value for key, value in {**ENTRY, **change}.items() if value is not None}
    manifest.write_text(json.dumps({"format": MANIFEST_FORMAT, "documents": [entry]}))
    with pytest.raises(ToolError, match=message):
        read_inputs([manifest], kind="text", split="test", licence="unknown")


def test_names_and_texts_are_used_once(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "a.md"):
        (tmp_path / name).write_text("another text" if name == "a.md" else "one text")
    with pytest.raises(ToolError, match="same text as"):
        read_inputs([tmp_path / "a.txt", tmp_path / "b.txt"], kind="text", split="test", licence="unknown")
    with pytest.raises(ToolError, match='name "a" is that of'):
        read_inputs([tmp_path / "a.txt", tmp_path / "a.md"], kind="text", split="test", licence="unknown")
    (document,) = read_inputs([tmp_path / "a.txt"], kind="prose", split="valid", licence="MIT")
    assert (document.name, document.kind, document.split, document.licence) == ("a", "prose", "valid", "MIT")


def test_layers_of_the_command_line() -> None:
    assert parse_layers("all") is None
    assert parse_layers("3,0,5-7,6") == (0, 3, 5, 6, 7)
    for wrong in ("", "1,,2", "a", "5-2", "-1", "1-"):
        with pytest.raises(UsageError, match=r"--layers .*neither a layer nor a range"):
            parse_layers(wrong)


def test_exit_codes_and_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("some text")
    common = [str(tmp_path / "a.txt"), "--out", str(tmp_path / "out")]
    assert run_command(lambda: tool.command([str(tmp_path / "none.gguf"), *common])) == 1
    assert "no such GGUF file" in capsys.readouterr().err
    assert run_command(lambda: tool.command([str(tmp_path), *common])) == 1
    assert "no config.json" in capsys.readouterr().err
    assert run_command(lambda: tool.command([str(tmp_path), *common, "--prompt", "0"])) == 2

"""The judge as a service: equal to the command that measures, and unmoved by requests that are wrong."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_source
from test_models import TEXT, save_model
from verdict_harness import KINDS, PROMPT, TEXTS

from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.capture import command as capture_command
from evictlab_tools.documents import Document
from evictlab_tools.errors import UsageError
from evictlab_tools.external.scorer import open_external
from evictlab_tools.library import Lab
from evictlab_tools.lines import LineWriter
from evictlab_tools.shapes import Shape
from evictlab_tools.verdict import command as command_module
from evictlab_tools.verdict.command import command
from evictlab_tools.verdict.documents import read_suite
from evictlab_tools.verdict.judge import Judge
from evictlab_tools.verdict.serve import Server

NAMES = [f"tiny/{split}/text {i}" for i, split in enumerate(["train", "valid"])]
SCORERS = ["=0.5*window_attn:8 + observed_attn", "snapkv@kvpress:window=8", "adakv@kvpress(knorm@kvpress)", "=wov_norm"]
RETENTIONS = [0.25, 0.5]


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param) / "tiny"
    texts = [
        Document(f"text {i}", kind, split, text, "test", "MIT")
        for i, (text, kind, split) in enumerate(zip(TEXTS, KINDS, ["train", "valid", "test"], strict=True))
    ]
    settings = Settings(PROMPT, 24, dtype="f32")
    capture_suite(make_source(request.param), texts, settings, folder, name="tiny", licence="MIT")
    return request.param, folder


@pytest.fixture
def server(suite: tuple[str, Path]) -> Iterator[Server]:
    lab, source = Lab(), make_source(suite[0])
    documents = read_suite(suite[1], source, lab.library)
    judge = Judge(source, threads=2)
    judge.load(documents.documents[0])
    yield Server(judge, documents, lab, workers=2, threads=1)


def answers_to(server: Server, file: Path, requests: list[Any]) -> list[dict[str, Any]]:
    lines = [r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in requests]
    with file.open("wb") as out:
        server.serve(lines, LineWriter(out.fileno()))
    return [json.loads(line) for line in file.read_text().splitlines()]


def request(number: Any = 1, **changes: Any) -> dict[str, Any]:
    return {"id": number, "scorer": SCORERS[0], "documents": NAMES, "retentions": RETENTIONS, **changes}


def test_the_first_line_lists_train_and_valid_alone(server: Server, suite: tuple[str, Path]) -> None:
    greeting = server.greeting("Tiny")
    assert greeting["protocol"] == "evictlab-judge/1"
    assert greeting["parallel"] == 2  # its workers
    assert server.greeting("Tiny", "evictlab-verdict/1") == {**greeting, "protocol": "evictlab-verdict/1"}
    assert greeting["documents"] == [
        {"name": name, "kind": kind, "split": split}
        for name, kind, split in zip(NAMES, KINDS, ["train", "valid"], strict=False)
    ]
    assert f"Tiny (random, seed 17, {suite[0]}), suite tiny sha256:" in greeting["judge"]


def test_figures_are_those_of_the_command(
    server: Server, suite: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source(suite[0]))
    options = ["--split", "train", "--split", "valid", "--retentions", "0.25,0.5", "-o", str(tmp_path / "v.json")]
    scorers = [option for scorer in SCORERS for option in ("--scorers", scorer)]
    command(["tiny", str(suite[1]), *scorers, *options])
    rows = {row["scorer"]: row["kl"] for row in json.loads((tmp_path / "v.json").read_text())["rows"]}
    answers = answers_to(server, tmp_path / "out", [request(i, scorer=scorer) for i, scorer in enumerate(SCORERS)])
    assert sorted(answer["id"] for answer in answers) == [0, 1, 2, 3]
    for answer in answers:
        assert answer["kl"] == rows[SCORERS[answer["id"]]]


def test_numbers_of_tokens_are_what_stays_of_every_document(
    server: Server, suite: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.greeting("Tiny")["keep"] is True
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source(suite[0]))
    options = ["--split", "train", "--split", "valid", "--keep", "20,45", "-o", str(tmp_path / "v.json")]
    command(["tiny", str(suite[1]), "--scorers", SCORERS[1], *options])
    result = json.loads((tmp_path / "v.json").read_text())
    asked = request(scorer=SCORERS[1], retentions=result["retentions"], keep=[20, 45])
    answers = answers_to(server, tmp_path / "out", [asked])
    rows = {row["scorer"]: row["kl"] for row in result["rows"]}
    assert answers[0]["kl"] == rows[SCORERS[1]]


MINE = """
import kvpress

print("a module that prints")
press = kvpress.SnapKVPress(window_size=8)

def small_keys(k):
    return -k.norm(dim=-1)

def fails(k):
    raise KeyError("mine")
"""
OWN = ["mine_served:press", "mine_served:small_keys"]


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_served.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "mine_served", raising=False)


def test_presses_and_functions_that_the_judge_was_started_with_can_be_asked_for(
    suite: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: None
) -> None:
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source(suite[0]))
    options = ["--split", "train", "--split", "valid", "--retentions", "0.25,0.5", "-o", str(tmp_path / "v.json")]
    command(["tiny", str(suite[1]), "--scorers", ",".join([*OWN, SCORERS[0]]), *options])
    rows = {row["scorer"]: row["kl"] for row in json.loads((tmp_path / "v.json").read_text())["rows"]}
    lab, source = Lab(), make_source(suite[0])
    documents = read_suite(suite[1], source, lab.library)
    judge = Judge(source, threads=1)
    judge.load(documents.documents[0])
    asked = [*OWN, "mine_served:fails"]
    server = Server(judge, documents, lab, workers=1, threads=1, external=open_external(asked, Shape(), decodes=False))
    name = server.greeting("Tiny")["judge"]
    assert ", with mine_served:fails (sha256:" in name and "mine_served:press (kvpress 0.5" in name
    named = [*OWN, SCORERS[0], OWN[0]]
    wrong = ["mine_served:fails", "kvpress:KnormPress", "os:getcwd"]
    shaped = {"granularity": "layer", "join": "mean", "block": 1, "sinks": 0, "recent": 0}
    requests = [request(i, scorer=scorer) for i, scorer in enumerate([*named, *wrong])]
    answers = answers_to(server, tmp_path / "out", [*requests, request("shaped", scorer=OWN[0], shape=shaped)])
    found = {answer["id"]: answer for answer in answers}
    for i, scorer in enumerate(named):
        assert found[i]["kl"] == rows[scorer]
    why = [found[len(named) + i]["error"] for i in range(len(wrong))]
    assert "KeyError: 'mine'" in why[0]
    assert "which this judge was not started with: --serve --scorers os:getcwd --workers 1" in why[2]
    assert "kvpress:KnormPress" in why[1]
    assert "a press chooses each head's tokens by itself" in found["shaped"]["error"]


def test_a_judge_is_not_started_with_what_it_cannot_serve(suite: tuple[str, Path], mine: None) -> None:
    serve = ["tiny", str(suite[1]), "--serve", "--scorers"]
    with pytest.raises(UsageError, match=r"--scorers h2o,=key_norm has no meaning with --serve"):
        command([*serve, f"{OWN[0]},h2o,=key_norm"])
    for workers in ([], ["--workers", "2"]):
        with pytest.raises(UsageError, match="needs --workers 1: Python's own run inside the model"):
            command([*serve, OWN[0], *workers])


def test_documents_and_retentions_come_back_in_the_order_asked(server: Server, tmp_path: Path) -> None:
    reverse = request(2, documents=NAMES[::-1], retentions=RETENTIONS[::-1])
    alone = [request(name, documents=[name], retentions=[0.5]) for name in NAMES]
    found = {a["id"]: a["kl"] for a in answers_to(server, tmp_path / "out", [request(1), reverse, *alone])}
    np.testing.assert_allclose(found[2], [row[::-1] for row in found[1][::-1]], rtol=1e-6)
    assert [found[name][0][0] for name in NAMES] == pytest.approx([row[1] for row in found[1]], rel=1e-6)
    assert all(row[0] > row[1] > 0 for row in found[1])


WRONG = [
    (b"{nonsense\n", "not a line of JSON"),
    (b'"\xff"\n', "not a line of JSON"),
    ([1, 2], "a request is a JSON object"),
    (request(None), 'has no "id"'),
    (request(scorer=None), '"scorer" is not a text'),
    (request(keep=[20]), '"keep" is not a list of as many'),
    (request(keep=[20, 0]), '"keep" has 0'),
    (request(scorer="=no_such_column"), "no_such_column"),
    (request(scorer="=\ud800"), "surrogates"),
    (request(scorer="snapkv@kvpress:window=70"), "window=70 on tiny/"),
    (request(documents=[]), '"documents" is not a list'),
    (request(documents=["tiny/test/text 2"]), "of the splits train and valid"),
    (request(documents=[["x"]]), "no document"),
    (request(retentions=0.5), '"retentions" is not a list'),
    (request(retentions=[0.5, 0]), '"retentions" has 0;'),
    (request(retentions=[True]), '"retentions" has true;'),
    (b'{"id": 1, "scorer": "=1", "documents": ["tiny/train/text 0"], "retentions": [NaN]}\n', "has NaN;"),
]


@pytest.mark.parametrize(("wrong", "why"), WRONG)
def test_a_wrong_request_is_one_error_and_the_next_is_answered(
    server: Server, tmp_path: Path, wrong: Any, why: str
) -> None:
    answers = answers_to(server, tmp_path / "out", [wrong, b"\n", request(7)])
    (error,) = [answer for answer in answers if "error" in answer]
    assert why in error["error"]
    (good,) = [answer for answer in answers if "kl" in answer]
    assert good["id"] == 7 and len(answers) == 2


def test_nothing_is_judged_for_a_reader_that_is_gone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("somebody is thought to read"))
    server.serve([json.dumps(request(1)).encode()], LineWriter(writing))
    os.close(writing)


def test_standard_output_has_lines_of_the_protocol_alone_and_the_end_is_success(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "cats.txt").write_text(TEXT)
    sizes = ["--prompt", "20", "--continuation", "5", "--split", "valid", "--licence", "MIT"]
    capture_command([str(tmp_path / "model"), str(tmp_path / "cats.txt"), "--out", str(tmp_path / "suite"), *sizes])
    start = "import os; from evictlab_tools.verdict import command as c; o = c.open_model\n"
    noisy = "def noisy(*a):\n    print('noise'); os.system('echo noise'); return o(*a)\nc.open_model = noisy; c.main()"
    asked = request(documents=["suite/valid/cats"], scorer="=window_attn:4")
    done = subprocess.run(
        [sys.executable, "-c", start + noisy, tmp_path / "model", tmp_path / "suite", "--serve", "--workers", "2"],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    greeting, answer = (json.loads(line) for line in done.stdout.splitlines())
    assert greeting["documents"] == [{"name": "suite/valid/cats", "kind": "text", "split": "valid"}]
    assert answer["id"] == 1 and len(answer["kl"][0]) == 2
    assert done.stderr.count("noise") == 2

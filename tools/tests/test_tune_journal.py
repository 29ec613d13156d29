"""Tuning that is stopped at any moment goes on from what documents said, to the same formula."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import tune_worker
from conftest import make_source
from farm_harness import comes_true
from tune_harness import TUNING, make_suite, make_terms, worker

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.journal import LineJournal
from evictlab_tools.tuning import command as command_module
from evictlab_tools.tuning.command import command
from evictlab_tools.verdict.judge import Judge


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("tune")
    suite, terms = make_suite(folder / "tiny"), make_terms(folder / "terms")
    return [str(suite), *TUNING, "--terms", str(terms), "--threads", "1"]


@pytest.fixture(scope="module")
def alone(given: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A formula with its journal, of tuning that nobody stopped."""
    output = tmp_path_factory.mktemp("alone") / "formula"
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
        command(["tiny", *given, "-o", str(output)])
    torch.set_num_threads(threads)
    assert "observed_attn" in output.read_text()
    return output


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def journal(output: Path) -> Path:
    return output.with_name(output.name + ".journal")


def lines(output: Path) -> int:
    return journal(output).read_bytes().count(b"\n") if journal(output).exists() else 0


def comes_to(output: Path, least: int) -> None:
    assert comes_true(lambda: lines(output) >= least)


def test_every_answer_is_noted_once(alone: Path) -> None:
    header, *entries = map(json.loads, journal(alone).read_text().splitlines())
    assert header["format"] == "evictlab-tune-journal/1" and header["threads"] == 1
    assert len({entry["asked"] for entry in entries}) == len(entries) > 10
    assert sum("seed" in entry for entry in entries) == 4  # two documents in each of two rounds


def test_stopped_at_random_moments_it_ends_in_the_same_bits(
    given: list[str], alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time, a last line may have been cut short."""
    output, chance, stops = tmp_path / "formula", random.Random(7), 0
    left = chance.randrange(4)
    note = LineJournal.add

    def stopping(self: LineJournal, value: dict[str, object]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        note(self, value)

    monkeypatch.setattr(LineJournal, "add", stopping)
    while True:
        try:
            command(["tiny", *given, "-o", str(output)])
            break
        except KeyboardInterrupt:
            stops, left = stops + 1, chance.randrange(1, 6)
            whole = journal(output).read_bytes() if journal(output).exists() else b""
            cut = chance.randrange(len(whole.splitlines()[-1]) + 1) if whole else 0
            journal(output).write_bytes(whole[: len(whole) - cut])
    assert stops > 4
    assert output.read_bytes() == alone.read_bytes()
    assert journal(output).read_bytes() == journal(alone).read_bytes()


def test_killed_at_random_moments_it_ends_in_the_same_bits(given: list[str], alone: Path, tmp_path: Path) -> None:
    output, chance = tmp_path / "formula", random.Random(3)
    command_line = [sys.executable, tune_worker.__file__, *given, "-o", str(output)]
    for number in (signal.SIGKILL, signal.SIGINT):
        notes = chance.randrange(1, 6)
        held = {**os.environ, "TUNE_HOLD_AFTER": str(notes)}
        with subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=held) as process:
            comes_to(output, lines(output) + notes)
            process.send_signal(number)
            told = process.communicate()[1].decode()
        assert process.returncode == (-9 if number == signal.SIGKILL else 130), told
    assert "goes on from here" in told and '  File "' not in told
    assert lines(output) < lines(alone)
    subprocess.run(command_line, stdout=subprocess.DEVNULL, check=True)
    assert output.read_bytes() == alone.read_bytes()
    assert journal(output).read_bytes() == journal(alone).read_bytes()


def test_what_is_noted_is_not_asked_again(
    given: list[str], alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By other weights of the retentions, the journal serves as far as the formulas are the same."""
    monkeypatch.setattr(Judge, "read", lambda *_: pytest.fail("a document is read"))
    output = tmp_path / "formula"
    command(["tiny", *given, "-o", str(output), "--journal", str(journal(alone))])
    assert output.read_bytes() == alone.read_bytes()


def test_a_judge_is_asked_nothing_twice(given: list[str], alone: Path, tmp_path: Path) -> None:
    output, asking = tmp_path / "formula", [*given[1:-2], "-o", str(tmp_path / "formula")]
    command(["--judge", worker(Path(given[0])), *asking])
    assert output.read_bytes() == alone.read_bytes()
    noted = journal(output).read_bytes()
    some = noted.splitlines(keepends=True)[:7]
    journal(output).write_bytes(b"".join(some) + b'{"docu')
    asked = tmp_path / "asked"
    command(["--judge", f"tee {asked} | {worker(Path(given[0])).removeprefix('exec ')}", *asking])
    assert output.read_bytes() == alone.read_bytes() and journal(output).read_bytes() == noted
    assert len(asked.read_text().splitlines()) == noted.count(b"\n") - 7


def test_journals_of_other_work_are_refused(given: list[str], alone: Path, tmp_path: Path) -> None:
    before = journal(alone).read_bytes()
    for more, words in (
        (["--threads", "2"], "of another model, version or options"),
        (["--granularity", "layer"], "of another model, version or options"),
        (["--sliding-layers"], "of another model, version or options"),
    ):
        with pytest.raises(ToolError, match=words):
            command(["tiny", *given, *more, "-o", str(tmp_path / "f"), "--journal", str(journal(alone))])
    assert journal(alone).read_bytes() == before
    text = tmp_path / "text"
    text.write_text("not a journal\n")
    with pytest.raises(ToolError, match="not a journal of evictlab-tune"):
        command(["tiny", *given, "--journal", str(text)])
    for wrong in (["--journal", given[0]], ["--journal", str(Path(given[0]) / "suite.json")]):
        with pytest.raises(ToolError, match="journal"):
            command(["tiny", *given, *wrong])
    with pytest.raises(UsageError, match="--journal is for --formula"):
        command(["tiny", given[0], "--propose", "--journal", str(tmp_path / "j")])

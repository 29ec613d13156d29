"""Tuning where others read the documents: the formula is that of one process, for any number of workers, and where one
is killed."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import make_source
from tune_harness import TUNING, make_suite, make_terms, worker
from verdict_harness import KINDS, PROMPT, TEXTS

from evictlab_tools.calibrate.command import parser, run
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.tuning import command as command_module
from evictlab_tools.tuning.command import command

FARM = [sys.executable, "-c", "from evictlab_tools.farm.command import main; main()", "--restart-delay", "0"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("tune") / "tiny")


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_terms(tmp_path_factory.mktemp("terms") / "terms")


def farm(*workers: str) -> str:
    return shlex.join([*FARM, *(word for one in workers for word in ("--worker", one))])


def tuned(terms: Path, file: Path, *arguments: str) -> str:
    file.write_text("an older one\n")
    command([*arguments, *TUNING, "--terms", str(terms), "-o", str(file)])
    return file.read_text()


@pytest.fixture(scope="module")
def alone(suite: Path, terms: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """By one process, which has a thread, as each worker has."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_module, "open_model", lambda *_: make_source("llama"))
        found = tuned(terms, tmp_path_factory.mktemp("alone") / "f", "model", str(suite), "--threads", "1")
    torch.set_num_threads(threads)
    assert "observed_attn" in found
    return found


def test_one_worker_gives_the_formula_of_one_process(alone: str, suite: Path, terms: Path, tmp_path: Path) -> None:
    assert tuned(terms, tmp_path / "f", "--judge", worker(suite)) == alone


@pytest.mark.parametrize("number", [2, 3])
def test_farms_give_the_formula_of_one_process(
    number: int, alone: str, suite: Path, terms: Path, tmp_path: Path
) -> None:
    assert tuned(terms, tmp_path / "f", "--judge", farm(*[worker(suite)] * number)) == alone


def texts(folder: Path, name: str, *wanted: int) -> Path:
    listed = []
    for number in wanted:
        (folder / f"{number}.txt").write_text(TEXTS[number])
        listed.append({"document": f"text {number}", "file": f"{number}.txt", "kind": KINDS[number],
                       "split": "valid" if number == 2 else "train", "source": "test", "licence": "MIT"})  # fmt: skip
    file = folder / name
    file.write_text(json.dumps({"format": "evictlab-documents/1", "documents": listed}))
    return file


def test_several_judges_give_the_formula_of_one_that_has_all_of_their_documents(
    terms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = ["--prompt", str(PROMPT), "--continuation", "24"]
    one = tuned(terms, tmp_path / "f", "--judge", worker(texts(tmp_path, "all.json", 0, 1, 2), *read))
    whole = capsys.readouterr().out
    first, second = texts(tmp_path, "first.json", 0, 2), texts(tmp_path, "second.json", 1)
    both = ["--judge", worker(first, *read), "--judge", farm(worker(second, *read))]
    assert tuned(terms, tmp_path / "g", *both) == one
    assert "observed_attn" in one
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if " of judge 1: " not in line] == whole.splitlines()
    assert "  0.25 of judge 1: " in told


def test_judges_of_calibrated_columns_have_a_calibration_and_who_asks_has_one_to_read_formulas_by(
    suite: Path, tmp_path: Path
) -> None:
    learned, terms, file = tmp_path / "learned.safetensors", tmp_path / "terms", tmp_path / "f"
    run(parser().parse_args([str(suite), "--out", str(learned)]))
    terms.write_text("tri_score\n")
    with pytest.raises(ToolError, match="'tri_score' reads a calibration, and there is none"):
        tuned(terms, file, "--judge", worker(suite))
    by = ("--calibration", str(learned))
    assert "tri_score" in tuned(terms, file, "--judge", worker(suite, *by), *by)


def test_a_judge_that_is_given_twice_is_refused(suite: Path) -> None:
    with pytest.raises(UsageError, match="--judge 1 and 2 are the same judge"):
        command(["--judge", worker(suite), "--judge", worker(suite), *TUNING])


def test_the_judge_that_fails_ends_all(suite: Path, terms: Path) -> None:
    said = {"protocol": "evictlab-judge/1", "judge": "other", "gradients": True,
            "documents": [{"name": "a", "split": "train"}]}  # fmt: skip
    failing = f"echo {shlex.quote(json.dumps(said))}; read line; exit 3"
    with pytest.raises(ToolError, match=r"it ended .exit status 3"):
        command(["--judge", worker(suite), "--judge", failing, *TUNING, "--terms", str(terms)])


def test_a_worker_that_is_killed_changes_nothing(
    alone: str, suite: Path, terms: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text(
        "import os, signal, subprocess, sys\n"
        f"if os.path.exists({str(tmp_path / 'died')!r}):\n"
        f"    os.execv('/bin/sh', ['sh', '-c', {worker(suite)!r}])\n"
        f"own = subprocess.Popen(['sh', '-c', {worker(suite)!r}], stdin=subprocess.PIPE, stdout=1)\n"
        "for number, line in enumerate(sys.stdin.buffer):\n"
        "    if b'gradients' in line:\n"
        f"        open({str(tmp_path / 'died')!r}, 'w').close()\n"
        "        os.killpg(0, signal.SIGKILL)\n"
        "    own.stdin.write(line); own.stdin.flush()\n"
    )
    commands = [f"exec {shlex.quote(sys.executable)} {shlex.quote(str(dying))}", worker(suite)]
    assert tuned(terms, tmp_path / "f", "--judge", farm(*commands)) == alone
    assert (tmp_path / "died").exists() and "was killed by signal 9" in capfd.readouterr().err


def test_what_a_worker_cannot_do_is_said(suite: Path) -> None:
    requests = [
        {"id": 1, "scorer": "=position", "documents": ["tiny/train/text 0"], "retentions": [0.5], "gradients": {}},
        {"id": 2, "scorer": "knorm", "documents": ["tiny/train/text 0"], "retentions": [0.5]},
        {"id": 3, "scorer": "=position", "documents": ["tiny/test/text 9"], "retentions": [0.5]},
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests).encode()
    done = subprocess.run(["sh", "-c", worker(suite)], input=lines, capture_output=True, check=True)
    greeting, *answers = map(json.loads, done.stdout.splitlines())
    assert greeting["gradients"] is True and greeting["threads"] == 1  # which farms compare
    assert [one["split"] for one in greeting["documents"]] == [
        "train",
        "train",
        "valid",
    ]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    for answer, words in zip(answers, ['"formula", "terms"', "only formulas", "no document"], strict=True):
        assert words in answer["error"]


def test_a_judge_that_fails_is_named(tmp_path: Path) -> None:
    for judge, words in (
        ("exit 3", "it ended .exit status 3"),
        ("echo hello", "wrote 'hello"),
        ('echo \'{"protocol": "evictlab-judge/1", "judge": "a", "documents": []}\'', "gives no gradients"),
    ):
        with pytest.raises(ToolError, match=words):
            command(["--judge", judge, *TUNING])
    for given, words in (
        (["model", "--judge", "true"], "MODEL is for who reads documents"),
        (["--judge", "true", "--granularity", "layer"], "--granularity is for who reads"),
        ([], "MODEL and INPUTS, or --judge"),
    ):
        with pytest.raises(UsageError, match=words):
            command([*given, *TUNING])

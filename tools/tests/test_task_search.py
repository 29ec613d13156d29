"""A search that breeds for answers: evictlab evolve with a judge --on answers, over a suite of captured tasks."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import answers_judge
from conftest import make_source
from test_task_run import SHORT, documents

from evictlab_tools.binding import Library, find_library
from evictlab_tools.capture import Settings, capture_suite
from evictlab_tools.documents import read_manifest

SIZES = "--start hybrid_start --seed 1 --population 20 --tuned 0 --judged 3 --verdict-tuning 0"


def evolve(folder: Path, generations: int, on: str, *more: str) -> subprocess.CompletedProcess[str]:
    program, suite = str(Library(find_library()).program), str(folder / "suite")
    judge = shlex.join([sys.executable, answers_judge.__file__, suite, "--on", on])
    state = str(folder / "run.json")
    command = [program, "evolve", "--state", state, "--generations", str(generations), "--verdict", judge, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_search_breeds_for_answers_and_goes_on_with_a_judge_of_answers_alone(tmp_path: Path) -> None:
    continuation = documents(tmp_path / "tasks", ["niah_single_1"], {"train": 2, "valid": 1, "test": 1})
    read = read_manifest(tmp_path / "tasks" / "unseen" / "manifest.json")
    settings = Settings(SHORT, continuation, dtype="f32")
    capture_suite(make_source("llama"), read, settings, tmp_path / "suite", name="suite", licence="MIT")
    done = evolve(tmp_path, 1, "answers", "--suite", str(tmp_path / "suite"), *SIZES.split())
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run.json.verdicts").read_text().splitlines()[1:]]
    assert lines[0]["answer"]["judge"].endswith(", on answers")
    assert any("kl" in line["answer"] for line in lines[1:])
    other = evolve(tmp_path, 2, "continuation", "--resume")
    assert other.returncode != 0 and "is another judge" in other.stderr

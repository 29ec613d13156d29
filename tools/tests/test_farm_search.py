"""A search whose judge is a farm: the bits of one whose judge is one, whatever becomes of workers and of the farm."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from search_harness import FARM, JUDGE, SEARCH, answers, bits

from evictlab_tools.binding import Library, find_library

QUICK_FARM = [*FARM, "--restart-delay", "0"]


def search(state: Path, judge: list[str], generations: int = 4, *more: str) -> subprocess.CompletedProcess[str]:
    program = Library(find_library()).program
    command = [
        str(program),
        "evolve",
        "--state",
        str(state),
        "--generations",
        str(generations),
        "--verdict",
        shlex.join(judge),
    ]
    return subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state: Path = tmp_path_factory.mktemp("plain") / "run.json"
    done = search(state, JUDGE, 4, *SEARCH)
    assert done.returncode == 0, done.stderr
    assert len(bits(state)[0]["champions"]) > 1
    return state


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_has_the_bits_of_one_judge_with_any_number_of_workers_that_die(
    workers: int, plain: Path, tmp_path: Path
) -> None:
    state = tmp_path / "run.json"
    worker = shlex.join([*JUDGE, "lives=25", "parallel=4", "most=2"])
    done = search(state, [*QUICK_FARM, "--local", str(workers), worker], 4, *SEARCH)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ended with exit status 3") > 3
    assert bits(state) == bits(plain)
    assert answers(state) == answers(plain)


class Killer(threading.Thread):
    """Kills the farm that runs each time that so many more questions were asked, by the log of its workers."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log, self.over, self.kills = log, threading.Event(), 0

    def lines(self, word: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.removeprefix(word) for line in lines if line.startswith(word)]

    def run(self) -> None:
        chance, after = random.Random(2), 20
        while not self.over.wait(0.005):
            if len(self.lines("asked ")) < after:
                continue
            after += chance.randrange(60, 140)
            farm = self.lines("farm ")[-1]
            with contextlib.suppress(OSError):
                if b"evictlab_tools.farm" in Path(f"/proc/{farm}/cmdline").read_bytes():
                    os.kill(int(farm), signal.SIGKILL)
                    self.kills += 1


def test_a_search_whose_farm_is_killed_again_and_again_goes_on_to_the_same_bits(plain: Path, tmp_path: Path) -> None:
    state, log = tmp_path / "run.json", tmp_path / "log"
    worker = shlex.join([*JUDGE, "parallel=2", "most=4", f"log={log}"])
    farm = [
        "sh",
        "-c",
        f'echo "farm $$" >>{shlex.quote(str(log))}; exec {shlex.join([*QUICK_FARM, "--local", "3", worker])}',
    ]
    killer = Killer(log)
    killer.start()
    try:
        stops = 0
        while (done := search(state, farm, 4, *(["--resume"] if state.exists() else SEARCH))).returncode != 0:
            stops += 1
            assert stops < 50, done.stderr
    finally:
        killer.over.set()
        killer.join()
    assert killer.kills > 2
    assert bits(state) == bits(plain)
    assert answers(state) == answers(plain)

"""Farms of fake judges, and what is asked of them."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import farm_judge

NAMES = [name for name, _ in farm_judge.DOCUMENTS]
RETENTIONS = [0.1, 0.25, 0.5]
START = [sys.executable, "-c", "from evictlab_tools.farm.command import main; main()"]
QUICK = ["--restart-delay", "0"]
PATIENCE = 120.0  # seconds until a test gives up on what should come at once

Answer = dict[str, Any]


def judge(**options: object) -> str:
    """The command of a fake judge."""
    words = [f"{name}={value}" for name, value in options.items()]
    return "exec " + shlex.join([sys.executable, "-S", "-E", farm_judge.__file__, *words])


def workers(*commands: str) -> list[str]:
    return [word for command in commands for word in ("--worker", command)]


def request(number: Any, scorer: str = "=a", documents: Sequence[str] = NAMES[:1], **more: Any) -> dict[str, Any]:
    return {"id": number, "scorer": scorer, "documents": list(documents), "retentions": RETENTIONS, **more}


def expected(asked: dict[str, Any]) -> Answer:
    kl = [[farm_judge.figure(asked["scorer"], name, r) for r in asked["retentions"]] for name in asked["documents"]]
    return {"id": asked["id"], "kl": kl}


def by_id(answers: Sequence[Answer]) -> list[Answer]:
    return sorted(answers, key=lambda answer: json.dumps(answer["id"]))


def requests_of_a_search(count: int) -> list[dict[str, Any]]:
    """Of one document, several, and some twice."""
    chosen = random.Random(5)
    return [request(i, f"=formula {i % 17}", chosen.choices(NAMES, k=chosen.randint(1, 5))) for i in range(count)]


def bytes_of(requests: Sequence[Any]) -> bytes:
    return b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in requests)


class Done:
    """A farm that was given requests and the end of them."""

    def __init__(self, arguments: Sequence[str], requests: Sequence[Any]) -> None:
        done = subprocess.run(
            [*START, *QUICK, *arguments], input=bytes_of(requests), capture_output=True, check=False, timeout=PATIENCE
        )
        self.code, self.told = done.returncode, done.stderr.decode()
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.greeting: Answer = lines[0] if lines else {}
        self.answers: list[Answer] = lines[1:]
        assert '  File "' not in self.told


class Running:
    """A farm that is asked and answers while it runs."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [*START, *QUICK, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.greeting = self.read()

    def send(self, *requests: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(bytes_of(requests))
        self.process.stdin.flush()

    def read(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        answer: Answer = json.loads(line)
        return answer

    def tells(self, times: int, words: str) -> str:
        """The line of the so manieth time that it does."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            times -= words in line.decode()
            if times == 0:
                return line.decode()
        raise AssertionError(f"it never tells: {words}")

    def end(self, number: int | None = None) -> tuple[int, str]:
        if number is not None:
            self.process.send_signal(number)
        told = self.process.communicate(timeout=PATIENCE)[1].decode()
        assert '  File "' not in told
        return self.process.returncode, told


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    farm = Running(arguments)
    try:
        yield farm
    finally:
        farm.process.kill()
        farm.process.communicate()


def noted(log: Path, word: str) -> list[str]:
    if not log.exists():
        return []
    return [line.removeprefix(word + " ") for line in log.read_text().splitlines() if line.startswith(word + " ")]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False

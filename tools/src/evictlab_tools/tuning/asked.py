"""Documents that a process reads, for evictlab-tune: a worker (`evictlab-tune --serve`), or a farm of many."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from evictlab_tools import __version__
from evictlab_tools.errors import ToolError
from evictlab_tools.judge_protocol import MOST_PARALLEL, PROTOCOLS
from evictlab_tools.shown import shown
from evictlab_tools.tuning.boundary import Doubles
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.lines import pull_from
from evictlab_tools.tuning.place import Seed
from evictlab_tools.tuning.pull import Pull

Request = dict[str, Any]


class Asked:
    """The process, and what it said of itself. As many requests are open as it takes in parallel."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self._introduce(self._read())
        except BaseException:
            self.close()
            raise

    def _introduce(self, said: dict[str, Any]) -> None:
        if said.get("protocol") not in PROTOCOLS:
            raise self._failed(f'it introduces itself without "protocol": "{PROTOCOLS[0]}"')
        if said.get("gradients") is not True:
            raise self._failed(
                "it gives no gradients; let it be `evictlab-tune MODEL INPUTS --serve`, or a farm of them"
            )
        try:
            self.judge = str(said["judge"])
            self.documents = [(str(one["name"]), str(one["split"])) for one in said["documents"]]
            self._said = {key: value for key, value in said.items() if key not in ("protocol", "parallel")}
            self._parallel = min(MOST_PARALLEL, max(1, int(said.get("parallel", 1))))
        except (KeyError, TypeError, ValueError):
            raise self._failed("what it introduces itself with is not that of a judge") from None

    @property
    def basis(self) -> dict[str, Any]:
        """What its answers follow from beside what is asked: all that it said of itself, as farms compare it."""
        return {"by": f"evictlab-tune {__version__}", **self._said}

    def parts(self, names: Sequence[str]) -> dict[str, list[int]]:
        """Which of these documents to tell of by themselves: none."""
        return {}

    def __enter__(self) -> Asked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """A judge ends with its input."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _failed(self, why: str) -> ToolError:
        return ToolError(f"the judge '{shown(self._command)}': {why}")

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed(f"it ended (exit status {self._process.wait()}); why is above, on standard error")
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise self._failed(f"it wrote '{shown(line.decode(errors='replace'))[:80]}', which is no answer")
        return said

    def _send(self, request: Request) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request, allow_nan=False).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # why shows at its output

    def _answers(self, requests: Sequence[Request], key: str) -> Iterator[list[Any]]:
        """Of requests about one document each, in their order, whatever the order in which they come."""
        found: dict[int, list[Any]] = {}
        sent = answered = 0
        for wanted in range(len(requests)):
            while wanted not in found:
                while sent < len(requests) and sent - answered < self._parallel:
                    self._send({"id": sent, **requests[sent]})
                    sent += 1
                answer = self._read()
                number = answer.get("id")
                if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < sent:
                    raise self._failed(
                        f"it answers what was not asked: {shown(str(answer.get('error', number)))[:200]}"
                    )
                if "error" in answer:
                    raise ToolError(shown(str(answer["error"])))
                value = answer.get(key)
                if number in found or not isinstance(value, list) or len(value) != 1:
                    raise self._failed(f'its answer has no "{key}" of one document')
                found[number] = value
                answered += 1
            yield found[wanted]
            found[wanted] = []

    def pulls(self, point: Point, retentions: Sequence[float], asked: Sequence[tuple[str, Seed]]) -> Iterator[Pull]:
        at = point.to_json()
        common: Request = {"scorer": point.scorer.text, "retentions": list(retentions)}
        requests = [{"documents": [name], **common, "gradients": {**at, "seed": list(seed)}} for name, seed in asked]
        for (said,) in self._answers(requests, "gradients"):
            yield pull_from(said, len(retentions), len(point.directions.all))

    def divergences(
        self, asked: Sequence[tuple[str, Sequence[str]]], retentions: Sequence[float]
    ) -> Iterator[list[Doubles]]:
        requests = [
            {"documents": [name], "scorer": "=" + formula, "retentions": list(retentions)}
            for name, formulas in asked
            for formula in formulas
        ]
        answers = self._answers(requests, "kl")
        for _, formulas in asked:
            found = [np.array(next(answers)[0], np.float64) for _ in formulas]
            if any(kl.shape != (len(retentions),) for kl in found):
                raise self._failed(f"its answers are not of {len(retentions)} retentions")
            yield found

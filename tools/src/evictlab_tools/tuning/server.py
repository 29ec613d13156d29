"""evictlab-tune --serve: what documents say, asked one line at a time (protocol evictlab-judge/1 with gradients)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from evictlab_tools import __version__
from evictlab_tools.calibration import CalibrationFile
from evictlab_tools.errors import ToolError
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.judge_protocol import PROTOCOLS, JudgeRequest, judge_request
from evictlab_tools.lines import LineWriter, parse_request
from evictlab_tools.tuning.budgets import UNIFORM
from evictlab_tools.tuning.directions import Point
from evictlab_tools.tuning.lines import pull_to_json
from evictlab_tools.tuning.place import Here


class TuningServer:
    """One request at a time, in order: what a document says takes all of its threads."""

    def __init__(self, here: Here, threads: int, calibration: CalibrationFile | None = None) -> None:
        self._here, self._threads, self._calibration = here, threads, calibration
        self._point: tuple[str, Point] | None = None  # the last one, by what was asked; all documents are asked at it

    def greeting(self) -> dict[str, Any]:
        """`judge` names all that answers follow from, but for the number of threads, which PyTorch's sums do."""
        judge, documents = self._here.judge, self._here.documents.values()
        digest = sha256_of_bytes("".join(document.hash for document in documents).encode())
        name = f"{judge.source.name} ({judge.source.weights}), documents sha256:{digest}, evictlab-tune {__version__}"
        if judge.sliding_layers:
            name += ", sliding layers evicted"
        if not judge.shape.usual:
            name += f", shape {json.dumps(judge.shape.to_json(), sort_keys=True)}"
        if self._here.budgets != UNIFORM:
            name += f", budgets {self._here.budgets}"
        if words := judge.source.device.words():
            name += f", {words}"
        if self._calibration is not None:
            name += f", calibration sha256:{self._calibration.sha256}"
        listed = [{"name": d.name, "kind": d.kind, "split": d.split} for d in documents]
        said = {"protocol": PROTOCOLS[0], "judge": name, "documents": listed, "parallel": 1, "gradients": True}
        return {**said, "threads": self._threads}

    def serve(self, requests: Iterable[bytes], answers: LineWriter) -> None:
        """Until the requests end, or nobody reads the answers."""
        for line in requests:
            if answers.closed:
                return
            if line.strip():
                answers.write(self._answer(line))

    def _answer(self, line: bytes) -> dict[str, Any]:
        name: Any = None
        try:
            request = parse_request(line)
            name = request.get("id")
            asked = judge_request(request, self._here.documents)
            if not asked.shape.usual or asked.keep:
                raise ToolError("shapes and numbers of tokens are options of evictlab-tune --serve, not of requests")
            key = "gradients" if asked.gradients else "kl"
            return {"id": name, key: self._pulls(asked, request["gradients"]) if asked.gradients else self._kl(asked)}
        except (ToolError, UnicodeEncodeError) as error:
            return {"id": name, "error": str(error)}
        except Exception as problem:  # one formula's trouble must not end the service
            traceback.print_exc(file=sys.stderr)
            return {"id": name, "error": f"{type(problem).__name__}: {problem}"}

    def _kl(self, asked: JudgeRequest) -> list[list[float]]:
        formula = asked.scorer.removeprefix("=")
        if formula == asked.scorer:
            raise ToolError(f"{asked.scorer}: only formulas are tuned, which begin with '='")
        pairs = [(document, (formula,)) for document in asked.documents]
        found = [kl.tolist() for (kl,) in self._here.divergences(pairs, asked.retentions)]
        if not all(math.isfinite(value) for of_document in found for value in of_document):
            raise ToolError(f"the divergence is no finite number: {found}")
        return [[max(0.0, value) for value in of_document] for of_document in found]

    def _pulls(self, asked: JudgeRequest, at: dict[str, Any]) -> list[dict[str, str]]:
        point = self._at(at)
        seed = at.get("seed")
        whole = isinstance(seed, list) and all(isinstance(word, int) and word >= 0 for word in seed)
        if not isinstance(seed, list) or not whole:
            raise ToolError('"gradients.seed" is not a list of whole numbers')
        documents = [(document, tuple(seed)) for document in asked.documents]
        return [pull_to_json(pull) for pull in self._here.pulls(point, asked.retentions, documents)]

    def _at(self, at: dict[str, Any]) -> Point:
        key = json.dumps({name: at.get(name) for name in ("formula", "terms", "position")})
        if self._point is None or self._point[0] != key:
            self._point = key, Point.from_json(self._here.lab, at)
        return self._point[1]

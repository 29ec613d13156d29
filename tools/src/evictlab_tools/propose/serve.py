"""The loop of a proposer: requests of `evictlab evolve` on one side, formulas on the other (docs/proposers.md)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evictlab_tools.errors import ToolError
from evictlab_tools.lines import LineWriter, parse_request

PROTOCOL = "evictlab-proposer/1"
TIMEOUT = 110.0  # seconds; evolve waits 120
Proposals = list[dict[str, str]]  # each with "formula" and "hypothesis"


def greeting(proposer: str) -> dict[str, str]:
    return {"protocol": PROTOCOL, "proposer": proposer}


def serve(requests: Iterable[bytes], answers: LineWriter, propose: Callable[[Mapping[str, Any]], Proposals]) -> None:
    """Until the requests end. A ToolError of `propose` is an answer that says why there are no proposals."""
    for line in requests:
        if line.strip():
            answers.write(_answer(line, propose))


def _answer(line: bytes, propose: Callable[[Mapping[str, Any]], Proposals]) -> dict[str, Any]:
    name: Any = None
    try:
        request = parse_request(line)
        name = request.get("id")
        return {"id": name, "proposals": propose(request)}
    except ToolError as error:
        return {"id": name, "error": str(error)}

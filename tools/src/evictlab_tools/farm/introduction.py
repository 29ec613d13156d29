"""What workers say of themselves, checked, and whether they are all the same judge."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evictlab_tools.farm.process import WorkerFailure
from evictlab_tools.judge_protocol import MOST_PARALLEL, PROTOCOLS
from evictlab_tools.shown import shown

PROBE = "=observed_attn + 0.001*value_norm"  # sums of many terms, of which each kind of processor has its own
PROBE_RETENTIONS = [0.1, 0.25, 0.5, 0.75]


@dataclass(frozen=True)
class Document:
    name: str
    split: str


@dataclass(frozen=True)
class Introduction:
    """A worker's first line. `words` is all of it that must be alike."""

    words: dict[str, Any]
    documents: tuple[Document, ...]
    parallel: int

    @property
    def judge(self) -> str:
        return str(self.words["judge"])


def excerpt(line: bytes | str, length: int = 80) -> str:
    """For messages: short, and on one line."""
    part = line[: 4 * length]
    text = shown(part if isinstance(part, str) else part.decode(errors="replace"))
    return text if len(text) <= length else text[: length - 3] + "..."


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def object_of(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise WorkerFailure(f"wrote a line that is not JSON: '{excerpt(line)}'") from None
    if not isinstance(value, dict):
        raise WorkerFailure(f"wrote a line that is no object: '{excerpt(line)}'")
    return value


def introduction_of(line: bytes) -> Introduction:
    try:
        said = object_of(line)
    except WorkerFailure:
        raise WorkerFailure(
            f"wrote '{excerpt(line)}' where the line that introduces it belongs: its standard output is for the "
            "protocol alone, anything else goes to standard error"
        ) from None
    if said.pop("protocol", None) not in PROTOCOLS:
        raise WorkerFailure(f'introduces itself with \'{excerpt(line)}\' instead of "protocol": "{PROTOCOLS[0]}"')
    if not isinstance(said.get("judge"), str):
        raise WorkerFailure('introduces itself without a name, "judge"')
    parallel = said.pop("parallel", 1)
    if isinstance(parallel, bool) or not isinstance(parallel, int) or not 1 <= parallel <= MOST_PARALLEL:
        raise WorkerFailure(f'introduces itself with a "parallel" that is no whole number from 1 to {MOST_PARALLEL}')
    return Introduction(said, _documents(said.get("documents")), parallel)


def _documents(given: object) -> tuple[Document, ...]:
    if not isinstance(given, list) or not given:
        raise WorkerFailure('introduces itself without "documents"')
    found = []
    for one in given:
        words = [one.get(key) if isinstance(one, dict) else None for key in ("name", "split")]
        if not all(isinstance(word, str) for word in words):
            raise WorkerFailure('introduces itself with a document that has no "name" or "split"')
        found.append(Document(str(words[0]), str(words[1])))
    if len({document.name for document in found}) < len(found):
        raise WorkerFailure("introduces itself with two documents of the same name")
    return tuple(found)


Result = list[float] | dict[str, Any] | str


def gradients_of(answer: dict[str, Any]) -> dict[str, Any] | str:
    """What one document says, which is for who asked; else as result_of."""
    if "error" in answer:
        return _error_of(answer)
    found = answer.get("gradients")
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise WorkerFailure('answers about one document without "gradients" of one')
    return found[0]


def _error_of(answer: dict[str, Any]) -> str:
    if not isinstance(answer["error"], str):
        raise WorkerFailure('answers with an "error" that is no text')
    return answer["error"]


def result_of(answer: dict[str, Any], retentions: int) -> list[float] | str:
    """Figures on one document at so many retentions, or why there are none; WorkerFailure where it is no answer."""
    if "error" in answer:
        return _error_of(answer)
    kl = answer.get("kl")
    if not isinstance(kl, list) or len(kl) != 1 or not isinstance(kl[0], list) or len(kl[0]) != retentions:
        raise WorkerFailure(f'answers about one document at {retentions} retentions with another shape of "kl"')
    for value in kl[0]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WorkerFailure('answers a "kl" that is no number')
        if not _is_divergence(value):
            raise WorkerFailure(f"answers {excerpt(json.dumps(value))}, which no KL divergence is")
    return [float(value) for value in kl[0]]


def _is_divergence(value: float) -> bool:
    try:
        return math.isfinite(value) and value >= 0
    except OverflowError:
        return False


def kind_name(figures: Sequence[float]) -> str:
    """Of a kind of workers, by what it answers to the probe."""
    return hashlib.sha256(" ".join(f"{value:.17g}" for value in figures).encode()).hexdigest()[:12]


def difference(one: Introduction, other: Introduction) -> str | None:
    """In words that fit behind the other's name."""
    if one.judge != other.judge:
        return f"introduces itself as '{shown(other.judge)}'"
    if one.documents != other.documents:
        return "has other documents, or in another order"
    for key in sorted({*one.words, *other.words}):
        if one.words.get(key) != other.words.get(key):
            return f'says something else in "{shown(key)}" of its introduction'
    return None

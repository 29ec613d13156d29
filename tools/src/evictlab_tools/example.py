"""What a document that is an example of a task says of itself: what is asked, what is right, and what stands where.

In a manifest it is the field "task", places being characters of the text, so that any tokenizer can be used:

{"name": "niah_single_1", "format": "RULER", "example": 3, "question": "unseen", "cut": 3870, "ask": 4012,
 "answers": ["4821375"], "match": "all", "new_tokens": 128, "spans": {"needle": [[1200, 1270]], "answer": ...}}

The prompt, after which tokens are evicted, ends at `cut`; from `ask` on the model answers. `question` says on which
side of the cut the question stands: "seen" by who scores the prompt's tokens, or "unseen".
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evictlab_tools.errors import ToolError

QUESTIONS = ("unseen", "seen")
MATCHES = ("all", "part")
ROLES = ("instruction", "needle", "answer", "distractor", "noise", "question")
SAME_IN_ALL = ("instruction", "noise", "question", "needle")  # roles whose text examples share, but for answers

Places = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Example:
    name: str  # of the task
    format: str  # who defined it: RULER, or evictlab
    example: int
    question: str  # one of QUESTIONS
    cut: int
    ask: int
    answers: tuple[str, ...]
    match: str  # one of MATCHES: RULER's string_match_all or string_match_part
    new_tokens: int  # that may be generated
    spans: Mapping[str, Places]  # by role, [first, past) of the prompt's characters

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _places(value: Any, cut: int) -> Places | None:
    if not isinstance(value, list):
        return None
    for place in value:
        whole = isinstance(place, list) and len(place) == 2 and all(type(at) is int for at in place)
        if not whole or not 0 <= place[0] < place[1] <= cut:
            return None
    return tuple((place[0], place[1]) for place in value)


def example_of_json(value: Any, text: str, where: str) -> Example:
    """Of what to_json() gives; ToolError that names the field."""

    def wrong(field: str, what: str) -> ToolError:
        return ToolError(f'{where}: "task": "{field}" is not {what}; evictlab-tasks make writes it')

    if not isinstance(value, dict):
        raise ToolError(f'{where}: "task" is not an object; evictlab-tasks make writes it')
    for field in ("name", "format"):
        if not isinstance(value.get(field), str) or not value[field]:
            raise wrong(field, "a text")
    for field, known in (("question", QUESTIONS), ("match", MATCHES)):
        if value.get(field) not in known:
            raise wrong(field, " or ".join(known))
    for field, least in (("example", 0), ("cut", 1), ("ask", 1), ("new_tokens", 1)):
        if type(value.get(field)) is not int or value[field] < least:
            raise wrong(field, f"a whole number of at least {least}")
    if not value["cut"] <= value["ask"] < len(text):
        raise wrong("ask", f"a place between the cut and the end of the {len(text)} characters of the text")
    answers, spans = value.get("answers"), value.get("spans")
    if not isinstance(answers, list) or not answers or not all(isinstance(a, str) and a for a in answers):
        raise wrong("answers", "a list of texts")
    if not isinstance(spans, dict) or not set(spans) <= set(ROLES):
        raise wrong("spans", f"an object with places of {', '.join(ROLES)}")
    places = {role: _places(found, value["cut"]) for role, found in spans.items()}
    for role, found in places.items():
        if found is None:
            raise wrong(f"spans.{role}", "a list of places [first, past the last] before the cut")
    return Example(
        value["name"],
        value["format"],
        value["example"],
        value["question"],
        value["cut"],
        value["ask"],
        tuple(answers),
        value["match"],
        value["new_tokens"],
        {role: found for role, found in places.items() if found is not None},
    )

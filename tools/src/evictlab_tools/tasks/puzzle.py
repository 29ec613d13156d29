"""A task's example before it is text: pieces with roles, what is asked, and what is right."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evictlab_tools.corpus.lookup import Dice

INSTRUCTION, NEEDLE, ANSWER, DISTRACTOR, NOISE, QUESTION = (
    ("instruction",),
    ("needle",),
    ("needle", "answer"),
    ("distractor",),
    ("noise",),
    ("question",),
)


@dataclass(frozen=True)
class Piece:
    text: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One more question about the same context."""

    question: str
    prefix: str
    gold: Sequence[Piece]


@dataclass(frozen=True)
class Puzzle:
    context: Sequence[Piece]  # with the instruction before it
    question: str  # follows the context at once
    prefix: str  # the answer's beginning, which follows the question or the turn's end; begins with a blank
    answers: tuple[str, ...]  # what a right answer has, as RULER compares it
    gold: Sequence[Piece]  # a right answer in the model's place; pieces with roles are the answers in it
    later: Sequence[Turn] = ()  # what else may be asked of the context, where one question does not ask for all


@dataclass(frozen=True)
class Draw:
    """What an example follows from: `fixed` draws its facts, `loose` the haystack around them; and the length."""

    fixed: Dice
    loose: Dice
    size: int  # of the haystack, in the maker's units
    tokens: int  # asked of the prompt
    prose: Callable[[int], list[str]]  # so many words of a text, the same for all sizes


@dataclass(frozen=True)
class Task:
    name: str
    format: str
    about: str
    new_tokens: int
    make: Callable[[Draw], Puzzle]
    prose: bool = False  # needs a text
    chat: bool = True  # False: continues a text, in no chat
    match: str = "all"
    padding: str = "noise"  # what may stand at the context's end for the length to be exact: noise, dots or nothing


def listed(answers: Sequence[str], between: str = ", ") -> list[Piece]:
    """A right answer that lists them."""
    pieces = [Piece(" ")]
    for number, answer in enumerate(answers):
        pieces += [Piece(between)] * (number > 0) + [Piece(answer, ANSWER)]
    return pieces


def distinct(draw: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)

"""Needles in a haystack, in RULER's format (NVIDIA/RULER, scripts/data/synthetic: niah.py and constants.py; which
task has which needles: scripts/synthetic.yaml). https://github.com/NVIDIA/RULER, arXiv 2404.06654."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evictlab_tools.corpus.lookup import Dice
from evictlab_tools.tasks.haystack import among, in_noise, in_prose
from evictlab_tools.tasks.puzzle import (
    ANSWER,
    DISTRACTOR,
    INSTRUCTION,
    NEEDLE,
    Draw,
    Piece,
    Puzzle,
    Turn,
    distinct,
    listed,
)
from evictlab_tools.tasks.words import KEYS

NEW_TOKENS = 128
DIGITS = 7


@dataclass(frozen=True)
class Niah:
    haystack: str  # noise, essay or needle
    key: str = "words"
    value: str = "numbers"
    keys: int = 1
    values: int = 1  # of each key
    queries: int = 1
    digits: int = DIGITS

    def __call__(self, draw: Draw) -> Puzzle:
        dice = draw.fixed
        keys = distinct(self._drawer(self.key, dice), max(self.keys, self.queries))
        values = [[self._drawer(self.value, dice)() for _ in range(self.values)] for _ in keys]
        asked = dice.sample(range(len(keys)), self.queries)
        pairs = [(key, value) for key in range(len(keys)) for value in values[key]]
        needles = [self._needle(keys[k], value, k in asked) for k, value in dice.shuffled(pairs)]
        answers = tuple(value for k in asked for value in values[k])
        kind = self.value[:-1] if self.queries * self.values == 1 else self.value
        one = kind != self.value
        query = _enumerated([keys[k] for k in asked])
        instruction = (
            f"{'A' if one else 'Some'} special magic {kind} {'is' if one else 'are'} hidden within the following text. "
            f"Make sure to memorize it. I will quiz you about the {kind} afterwards.\n"
        )

        def asked_for(query: str) -> tuple[str, str]:
            of = f"special magic {kind} for {query} mentioned in the provided text"
            return f"What {'is' if one else 'are all'} the {of}?", f" The {of} {'is' if one else 'are'}"

        others = [k for k in range(len(keys)) if k not in asked] if self.queries == 1 else []
        return Puzzle(
            [Piece(instruction, INSTRUCTION), *self._context(draw, keys, needles), Piece("\n")],
            *asked_for(query),
            answers,
            listed(answers),
            [Turn(*asked_for(keys[k]), listed(values[k])) for k in others],
        )

    def _context(self, draw: Draw, keys: Sequence[str], needles: Sequence[Sequence[Piece]]) -> list[Piece]:
        if self.haystack == "noise":
            return in_noise(needles, draw.size, draw.fixed, draw.loose)
        if self.haystack == "essay":
            return in_prose(needles, draw.prose(draw.size), draw.fixed)
        places = sorted(draw.fixed.number(0, 10**6 - 1) for _ in needles)
        key, value = self._drawer(self.key, draw.loose), self._drawer(self.value, draw.loose)
        lines = [self._needle(other(key, keys), value(), False) for _ in range(draw.size)]
        return among(lines, needles, [place * draw.size // 10**6 for place in places], "\n")

    def _needle(self, key: str, value: str, asked: bool) -> list[Piece]:
        role, answer = (NEEDLE, ANSWER) if asked else (DISTRACTOR, DISTRACTOR)
        return [
            Piece(f"One of the special magic {self.value} for {key} is: ", role),
            Piece(value, answer),
            Piece(".", role),
        ]

    def _drawer(self, kind: str, dice: Dice) -> Callable[[], str]:
        if kind == "words":
            return lambda: dice.pick(KEYS)
        if kind == "numbers":
            return lambda: str(dice.number(10 ** (self.digits - 1), 10**self.digits - 1))
        return lambda: str(
            uuid.UUID(int=sum(dice.number(0, 2**32 - 1) << shift for shift in (0, 32, 64, 96)), version=4)
        )


def other(draw: Callable[[], str], taken: Sequence[str]) -> str:
    while (found := draw()) in taken:
        pass
    return found


def _enumerated(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + ", and " + keys[-1]

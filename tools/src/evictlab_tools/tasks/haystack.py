"""What needles are hidden in: RULER's noise, line by line, or prose, between sentences."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Sequence

from evictlab_tools.corpus.lookup import Dice
from evictlab_tools.tasks.puzzle import NOISE, Piece

NOISE_LINE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
NOISE_PARTS = re.findall(r" ?\w+|\.", NOISE_LINE)  # words and stops, whose tokens are short
MOST_SKIPPED = 8
DEPTHS = [round(100 * i / 39) for i in range(40)]  # RULER's: 40 from 0 to 100 per cent, evenly


def noise_lines(parts: int, skipped: int = 0) -> list[str]:
    """RULER's line again and again, so many words and stops of it without the first few: the first and the last line
    may be cut, for the length to be exact."""
    ends = range(0, skipped + parts, len(NOISE_PARTS))
    lines = [NOISE_PARTS[max(0, skipped - end) : skipped + parts - end] for end in ends]
    return ["".join(line).lstrip() for line in lines if line]


def in_noise(needles: Sequence[Sequence[Piece]], parts: int, dice: Dice, loose: Dice) -> list[Piece]:
    """Needles, in their order, as lines at random places among the lines of noise."""
    lines = noise_lines(parts, loose.number(0, MOST_SKIPPED))
    shares = sorted(dice.number(0, 10**6 - 1) for _ in needles)  # the same for all lengths
    return among([[Piece(line, NOISE)] for line in lines], needles, [s * len(lines) // 10**6 for s in shares], "\n")


def in_prose(needles: Sequence[Sequence[Piece]], words: Sequence[str], dice: Dice) -> list[Piece]:
    """Needles, in their order, between sentences at depths that RULER draws from."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(words))
    places = [len(sentences) * depth // 100 for depth in sorted(dice.sample(DEPTHS, len(needles)))]
    return among([[Piece(sentence)] for sentence in sentences], needles, places, " ")


def among(
    lines: Sequence[Sequence[Piece]], needles: Sequence[Sequence[Piece]], places: Sequence[int], between: str
) -> list[Piece]:
    """Each needle before the line that its place counts; places do not fall."""
    parts: list[Sequence[Piece]] = []
    for place in range(len(lines) + 1):
        parts += [needle for needle, at in zip(needles, places, strict=True) if at == place]
        parts += lines[place : place + 1]
    pieces: list[Piece] = []
    for number, part in enumerate(parts):
        pieces += ([Piece(between)] if number else []) + list(part)
    return pieces

"""Variable tracking, in RULER's format (scripts/data/synthetic/variable_tracking.py), over noise, without examples
before it."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import string
from dataclasses import dataclass
from itertools import pairwise

from evictlab_tools.tasks.haystack import in_noise
from evictlab_tools.tasks.puzzle import ANSWER, INSTRUCTION, NEEDLE, Draw, Piece, Puzzle, distinct, listed

NEW_TOKENS = 30
LETTERS = 5


@dataclass(frozen=True)
class VariableTracking:
    hops: int = 4

    def __call__(self, draw: Draw) -> Puzzle:
        dice = draw.fixed
        letters = string.ascii_uppercase
        names = distinct(lambda: "".join(dice.pick(letters) for _ in range(LETTERS)), self.hops + 1)
        value = str(dice.number(10000, 99998))
        chain = [[Piece("VAR ", NEEDLE), Piece(names[0], ANSWER), Piece(" = ", NEEDLE), Piece(value, ANSWER)]]
        for before, name in pairwise(names):
            chain.append([Piece("VAR ", NEEDLE), Piece(name, ANSWER), Piece(f" = VAR {before} ", NEEDLE)])
        instruction = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
        return Puzzle(
            [Piece(instruction, INSTRUCTION), *in_noise(chain, draw.size, dice, draw.loose), Piece("\n")],
            f"Question: Find all variables that are assigned the value {value} in the text above.",
            " Answer: According to the chain(s) of variable assignment in the text above, "
            f"{self.hops + 1} variables are assigned the value {value}, they are:",
            tuple(names),
            listed(names, " "),
        )

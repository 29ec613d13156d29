"""Documents that need retrieval and are easy: prose with a few sentences that do not belong there, then a question on
each.

SmolLM2-135M answers 55 of the 64 questions of the catalogue's such documents; of the 18 whole ones on the lists of
records in the test split it answers 2.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable

from evictlab_tools.corpus.align import aligned
from evictlab_tools.corpus.lookup import Dice

NEEDLES = 4
PLACES = (
    "garden gate,old library,silver box,north tower,wine cellar,blue cabinet,stable door,music room,iron chest,"
    "writing desk,linen closet,east wing,kitchen clock,green house,boat shed,corner window"
).split(",")
FEWER = 8  # words: so many may be left out for a question to begin where it should
INTRODUCTION = "\nQuestions on this text, with their answers:\n\n"


def make_needles(prose: str, seed: int, *, prompt: int, tokens: int, measure: Callable[[str], int]) -> str:
    """A text of more than `tokens` tokens, as `measure` counts them, whose first question begins at token `prompt`."""
    dice = Dice(seed)
    names: list[str] = []
    while len(names) < NEEDLES:
        if (name := dice.pick(PLACES)) not in names:
            names.append(name)
    numbers = [str(dice.number(1000, 9999)) for _ in names]
    words = prose.split()

    def told(count: int) -> str:
        """So many words, with the sentences spread among them."""
        parts = [words[i * count // NEEDLES : (i + 1) * count // NEEDLES] for i in range(NEEDLES)]
        sentences = [f"The number of the {name} is {number}." for name, number in zip(names, numbers, strict=True)]
        return "\n\n".join(f"{' '.join(part)}\n\n{sentence}" for part, sentence in zip(parts, sentences, strict=True))

    low, high = 0, len(words)  # the most words that fit
    while low < high:
        middle = (low + high + 1) // 2
        if measure(told(middle) + "\n\n" + INTRODUCTION) <= prompt:
            low = middle
        else:
            high = middle - 1
    before = [f"{told(count)}\n\n" for count in range(low, max(low - FEWER, -1), -1)]
    _, text = aligned([(one, INTRODUCTION) for one in before], prompt, measure)
    order = list(range(NEEDLES))
    while order:
        at = order.pop(dice.number(0, len(order) - 1))
        text += f"Q: What is the number of the {names[at]}?\nA: {numbers[at]}\n"
    rest, more = words[low:], 0
    while measure(text) <= tokens and more < len(rest):
        text += ("\n" if more == 0 else " ") + " ".join(rest[more : more + 16])
        more += 16
    return text

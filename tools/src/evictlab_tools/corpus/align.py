"""Texts whose prompt ends at a boundary of their own, so that no question is cut in half between prompt and
continuation."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import cycle, islice

from evictlab_tools.errors import ToolError

FILLER = (
    "All of this was read once more by those who had to rely on it, and nothing was found that had to be changed, so "
    "that it was left as it stands and may be used by all who need it."
).split()
ENDINGS = (".", "...", "!", " .", "; so be it.", ", and so on.")  # where a word more is one token too many
MOST_WORDS = 400


def aligned(begun: Iterable[tuple[str, str]], prompt: int, measure: Callable[[str], int]) -> tuple[int, str]:
    """Which of some beginnings, each in two parts, is the first that some words between its parts bring to exactly
    `prompt` tokens, as `measure` counts them; and these tokens' text."""
    for number, (before, after) in enumerate(begun):
        for words in range(MOST_WORDS):
            filler = " ".join(islice(cycle(FILLER), words))
            texts = [f"{before}{filler}{ending}\n{after}" for ending in ENDINGS] if words else [before + after]
            sizes = [measure(text) for text in texts]
            if prompt in sizes:
                return number, texts[sizes.index(prompt)]
            if min(sizes) > prompt:
                break
    raise ToolError(
        f"no text was found whose questions begin at token {prompt}: give a --prompt that is longer or differs by a few"
    )


def answers_of(text: str) -> list[tuple[int, int]]:
    """Where the answers stand, "A: ..." in the line below "Q: ...": characters [first, past). Of a question that is
    asked again only the first, for then the answer is near."""
    asked: set[str] = set()
    found = []
    for pair in re.finditer(r"(?m)^Q: (.*)\nA: (.+)\n", text):
        if pair[1] not in asked:
            found.append(pair.span(2))
        asked.add(pair[1])
    return found

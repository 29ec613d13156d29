"""Common words and frequent words, in RULER's format (scripts/data/synthetic: common_words_extraction.py, with its one
example before the question, and freq_words_extraction.py)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import math
import string
from collections.abc import Sequence

from evictlab_tools.corpus.lookup import Dice
from evictlab_tools.tasks.puzzle import ANSWER, INSTRUCTION, Draw, Piece, Puzzle, distinct, listed
from evictlab_tools.tasks.words import ALL

COMMON_NEW_TOKENS, FREQUENT_NEW_TOKENS = 120, 50
COMMON = 10
SHORT = 4096  # tokens, below which RULER's lists are others
CODED_LETTERS, ALPHA, ZETA = 6, 2, math.pi**2 / 6  # zeta(2)
LEAST_VOCABULARY = 8

COMMON_INSTRUCTION = (
    "Below is a numbered list of words. In these words, some appear more often than others. "
    "Memorize the ones that appear most often.\n"
)
COMMON_QUESTION = "Question: What are the 10 most common words in the above list?"
COMMON_PREFIX = " Answer: The top 10 words that appear most often in the list are:"


def _numbered(words: Sequence[str], common: Sequence[str]) -> list[Piece]:
    pieces: list[Piece] = []
    for number, word in enumerate(words, 1):
        pieces += [Piece(f"{' ' if number > 1 else ''}{number}. "), Piece(word, ANSWER if word in common else ())]
    return pieces


def _word_list(common: Sequence[str], others: Sequence[str], repeats: tuple[int, int], dice: Dice) -> list[str]:
    return dice.shuffled([*common] * repeats[0] + [*others] * repeats[1])


def common_words(draw: Draw) -> Puzzle:
    """Size: different words, the ten common ones too. Where there are no more of these, all are repeated more often."""
    short = draw.tokens < SHORT
    shown, shown_repeats = (20, (3, 1)) if short else (40, (10, 3))
    repeats = (6, 1) if short else (30, 3)
    told = draw.fixed.sample(ALL, shown)
    example = _word_list(told[:COMMON], told[COMMON:], shown_repeats, draw.fixed)
    common = draw.fixed.sample(ALL, COMMON)
    left = [word for word in ALL if word not in common]
    wanted = max(draw.size - COMMON, 0)
    times = max(1, -(-wanted // len(left)))
    others = draw.loose.sample(left, min(wanted // times, len(left)))
    words = _word_list(common, others, (repeats[0] * times, repeats[1] * times), draw.loose)
    shown_answer = " ".join(f"{number}. {word}" for number, word in enumerate(told[:COMMON], 1))
    before = "".join(piece.text for piece in _numbered(example, ()))
    gold: list[Piece] = []
    for number, word in enumerate(common, 1):
        gold += [Piece(f" {number}. "), Piece(word, ANSWER)]
    return Puzzle(
        [
            Piece(COMMON_INSTRUCTION, INSTRUCTION),
            Piece(f"{before}\n{COMMON_QUESTION}{COMMON_PREFIX} {shown_answer}\n"),
            Piece(COMMON_INSTRUCTION, INSTRUCTION),
            *_numbered(words, common),
            Piece("\n"),
        ],
        COMMON_QUESTION,
        COMMON_PREFIX,
        tuple(common),
        gold,
    )


def frequent_words(draw: Draw) -> Puzzle:
    """Size: words. Their ranks' counts fall as those of a zeta distribution, and the first is no word but dots."""

    def coded(dice: Dice) -> str:
        return "".join(dice.pick(string.ascii_lowercase) for _ in range(CODED_LETTERS))

    top = distinct(lambda: coded(draw.fixed), 3)
    vocabulary = max((draw.tokens - FREQUENT_NEW_TOKENS) // 50, LEAST_VOCABULARY)
    counts = [int(draw.size / rank**ALPHA / ZETA) for rank in range(1, vocabulary + 1)]
    words = ["..."] * counts[0]
    for word, count in zip(top, counts[1:4], strict=True):
        words += [word] * count
    for count in counts[4:]:
        words += [coded(draw.loose)] * count
    instruction = (
        "Read the following coded text and track the frequency of each coded word. "
        "Find the three most frequently appeared coded words. "
    )
    context = [Piece(instruction, INSTRUCTION)]
    for number, word in enumerate(draw.loose.shuffled(words)):
        context += [Piece(" ")] * (number > 0) + [Piece(word, ANSWER if word in top else ())]
    return Puzzle(
        [*context, Piece("\n")],
        "Question: Do not provide any explanation. Please ignore the dots '....'. "
        "What are the three most frequently appeared words in the above coded text?",
        " Answer: According to the coded text above, the three most frequently appeared words are:",
        tuple(top),
        listed(top),
    )

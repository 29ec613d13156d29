"""Which tokens stand where in a text: spans of characters [first, past) as spans of tokens [first, past)."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from evictlab_tools.errors import ToolError
from evictlab_tools.tokens import Tokenizer

Span = tuple[int, int]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def token_ends(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Where each of the text's first tokens ends, in characters. ToolError where its tokens do not spell the text."""
    ends: list[int] = []
    at = 0
    for number in ids:
        piece = tokenizer.decode(number)
        if text.startswith(piece, at):
            at += len(piece)
        elif text.startswith(f" {piece}", at):  # SentencePiece's, which do not tell their blank when alone
            at += 1 + len(piece)
        elif number not in tokenizer.special:  # those stand in front of a text without being in it
            return _ends_by_beginnings(text, ids, tokenizer)
        ends.append(at)
    return ends


def _ends_by_beginnings(text: str, ids: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Where tokens hold parts of characters: by bisection, the shortest beginning of the text that has the tokens up to
    and with each."""
    ends: list[int] = []
    low = 0
    for count in range(1, len(ids) + 1):
        first, past = low, len(text)
        while first < past:
            middle = (first + past) // 2
            if common_prefix(tokenizer.encode(text[:middle]), ids) >= count:
                past = middle
            else:
                first = middle + 1
        if common_prefix(tokenizer.encode(text[:first]), ids) < count:
            raise ToolError(f"the tokens of the text that begins {text[:40]!r} cannot be found in it")
        ends.append(first)
        low = first
    return ends


def tokens_of(span: Span, ends: Sequence[int]) -> Span:
    """The tokens that hold any of these characters, of tokens that end at `ends`."""
    first, past = span
    return bisect_right(ends, first), min(bisect_left(ends, past) + 1, len(ends))


def tokens_before(cut: int, text: str, ids: Sequence[int], tokenizer: Tokenizer) -> int | None:
    """How many tokens the first `cut` characters are; None where a token lies across that place."""
    count = len(tokenizer.encode(text[:cut]))
    return count if list(ids[:count]) == tokenizer.encode(text[:cut]) else None

"""Text to token ids, and what each token is: word, punctuation or space, special, number."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class TokenType(IntEnum):
    WORD = 0  # has a letter, or is a piece of a character's UTF-8
    PUNCTUATION = 1  # or space
    SPECIAL = 2
    NUMBER = 3  # digits, maybe with signs, but no letter


def type_of_text(text: str) -> TokenType:
    if any(c.isalpha() or c == "\N{REPLACEMENT CHARACTER}" for c in text):
        return TokenType.WORD
    return TokenType.NUMBER if any(c.isnumeric() for c in text) else TokenType.PUNCTUATION


@dataclass(frozen=True)
class Tokenizer:
    encode: Callable[[str], list[int]]  # with the special tokens that the model wants in front of a text
    decode: Callable[[int], str]
    special: frozenset[int]
    chat: Callable[[str], str] | None = None  # a user's turn, and the answer begun, as the model's template writes them

    def token_types(self, ids: Sequence[int]) -> NDArray[np.uint8]:
        kinds = {i: TokenType.SPECIAL if i in self.special else type_of_text(self.decode(i)) for i in set(ids)}
        return np.array([kinds[i] for i in ids], np.uint8)

    def encode_alone(self, text: str) -> list[int]:
        """Without the special tokens around it."""
        ids = self.encode(text)
        kept = [at for at, i in enumerate(ids) if i not in self.special]
        return ids[kept[0] : kept[-1] + 1] if kept else []

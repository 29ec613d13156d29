"""The constants of a formula's text, without its grammar: numbers that stand in no column's name and in no comment."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = r"[A-Za-z_]\w*(?::[\w.=]+)*"  # a column's, with its parameters, or a function's
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(rf"(?P<comment>#[^\n]*)|(?P<name>{_NAME})|(?P<number>{_NUMBER})")
_NODE = re.compile(rf"{_NAME}|{_NUMBER}|<=|>=|==|[-+*/^<>]")


def nodes_of(formula: str) -> int:
    """About how many operators and operands a formula without comments has, and rather more than fewer."""
    return len(_NODE.findall(formula))


def number(value: float, digits: int | None = None) -> str:
    """In `digits` significant digits; without, in as many as give the same number again."""
    return repr(value).removesuffix(".0") if digits is None else f"{value:.{digits}g}"


@dataclass(frozen=True)
class Constants:
    """`texts` has one part more than there are values: the formula is texts[0] values[0] texts[1] ..."""

    texts: tuple[str, ...]
    values: tuple[float, ...]

    @staticmethod
    def of(formula: str) -> Constants:
        texts, values, text, end = [], [], "", 0
        for token in _TOKEN.finditer(formula):
            text += formula[end : token.start()]
            end = token.end()
            if token["number"]:
                texts.append(text)
                values.append(float(token["number"]))
                text = ""
            elif token["name"]:
                text += token["name"]
        texts.append(text + formula[end:])
        return Constants(tuple(texts), tuple(values))

    def formula(self, written: Sequence[str]) -> str:
        """The formula with other texts in the constants' places."""
        parts = [self.texts[0]]
        for value, text in zip(written, self.texts[1:], strict=True):
            parts += [f"({value})" if value.startswith("-") else value, text]
        return "".join(parts).strip()

"""What a model makes of a document by itself, with its whole cache: how likely it finds the continuation, and which of
the answers in it that stand in the prompt it gives.

A document whose answers the model does not know says nothing of what eviction loses.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LEAST_SHARE = 0.5  # of its lookups that a document's model must answer, else the document carries no claim


@dataclass(frozen=True)
class Lookup:
    """An answer in the continuation: its tokens [first, past), counted from the document's start."""

    first: int
    past: int


@dataclass(frozen=True)
class Uncompressed:
    nll: float  # mean negative log-likelihood of the continuation's tokens, nats
    lookups: tuple[tuple[Lookup, bool], ...] = ()  # and whether each token of the answer is the likeliest

    @property
    def right(self) -> int:
        return sum(right for _, right in self.lookups)

    @property
    def left_out(self) -> str:
        """Why the document carries no claim, or ""."""
        asked = len(self.lookups)
        if asked == 0 or self.right >= LEAST_SHARE * asked:
            return ""
        return f"the model answers {self.right} of {asked} lookups without eviction"

    def to_json(self) -> dict[str, Any]:
        lookups = [{"tokens": [one.first, one.past], "right": right} for one, right in self.lookups]
        return {"nll": self.nll, **({"lookups": lookups} if lookups else {})}


def uncompressed_of_json(value: dict[str, Any]) -> Uncompressed:
    """Of what to_json() gives."""
    listed = value.get("lookups", [])
    lookups = ((Lookup(int(one["tokens"][0]), int(one["tokens"][1])), bool(one["right"])) for one in listed)
    return Uncompressed(float(value["nll"]), tuple(lookups))


def find_lookups(
    text: str, answers: Sequence[tuple[int, int]], ids: Sequence[int], prompt: int, encode: Callable[[str], list[int]]
) -> tuple[Lookup, ...]:
    """Where the answers, given by characters [first, past) of the text, stand among the continuation's tokens.

    An answer that begins in the prompt or is cut at the end is left out.
    """

    def tokens_before(end: int) -> int:
        """Those that are the same whatever follows."""
        alone = encode(text[:end])
        return next((i for i, (a, b) in enumerate(zip(alone, ids, strict=False)) if a != b), min(len(alone), len(ids)))

    found = []
    for first, past in answers:
        lookup = Lookup(tokens_before(first), tokens_before(past))
        whole = len(encode(text[:past])) <= len(ids)
        if whole and prompt < lookup.first < lookup.past <= len(ids):
            found.append(lookup)
    return tuple(found)


@torch.no_grad()
def judge(logits: Tensor, ids: Sequence[int], prompt: int, lookups: Sequence[Lookup]) -> Uncompressed:
    """`logits` [m + 1][vocabulary] are of the prompt's last token and of the m tokens of the continuation."""
    targets = torch.tensor(ids[prompt:], device=logits.device)
    likelihoods = [float(row.double().log_softmax(-1)[i]) for row, i in zip(logits[:-1], targets, strict=True)]
    likeliest = logits[:-1].argmax(-1) == targets
    right = tuple((one, bool(likeliest[one.first - prompt : one.past - prompt].all())) for one in lookups)
    return Uncompressed(round(-sum(likelihoods) / len(likelihoods), 6), right)

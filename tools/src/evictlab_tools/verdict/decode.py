"""The protocol `decode` in a closed loop: the model goes on token by token over a cache of fixed size.

A step's attention, in every layer and KV head, is over what is cached then, at true positions; what an evicted token
changes reaches the layers above and all later tokens. Several sizes of one scorer run as one batch.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.layer_cache import check_decoding
from evictlab_tools.library import Scorer
from evictlab_tools.masked import all_kept, attending, run_continuation
from evictlab_tools.prefill import tokens_of
from evictlab_tools.shapes import Budgets, Shape, kept_count
from evictlab_tools.verdict.bounds import ORACLE
from evictlab_tools.verdict.deciding import Decider, OracleDecides, ScorerDecides
from evictlab_tools.verdict.divergence import Predictions, by_position
from evictlab_tools.verdict.documents import TokenDocument
from evictlab_tools.verdict.held import HeldLayer
from evictlab_tools.verdict.judge import DocumentRun, Figures
from evictlab_tools.verdict.schedule import NEVER, Schedule, parse_schedule

BIN = 16  # tokens


@dataclass(frozen=True)
class Size:
    """Of a cache, a head: `capacity` tokens stay at a cut (NEVER: all), and of the prompt `keep`, or, where that is 0,
    what the share `removed` leaves."""

    capacity: int
    removed: float = 0.0
    keep: int = 0


@dataclass
class _Sequence:
    """One cache of the batch, and what is noted of it; lists by step."""

    size: Size
    layers: list[HeldLayer]
    deciders: list[Decider | None]  # None: a layer that is not evicted
    cached: list[int] = field(default_factory=list)  # over evicted layers and heads, after the step and its cut
    replaced: list[int] = field(default_factory=list)  # likewise, evicted tokens that an earlier cut had left
    largest: int = 0  # tokens that a head held while it attended

    def begin(self) -> None:
        for held, decider in zip(self.layers, self.deciders, strict=True):
            if decider is not None:
                held.keep(decider.places)

    @property
    def evicted(self) -> list[HeldLayer]:
        return [held for held, decider in zip(self.layers, self.deciders, strict=True) if decider is not None]

    def continuation_kept(self, prompt: int, end: int) -> float:
        """As benches have it: what is cached of the continuation, over what it would be if all tokens were kept
        alike; mean over layers."""
        shares = []
        for held in self.evicted:
            positions = held.positions()
            cached = sum(len(row) for row in positions)
            late = sum(int((row >= prompt).sum()) for row in positions)
            shares.append(late / (cached * (end - prompt) / end))
        return sum(shares) / len(shares)


def turn_ends(document: TokenDocument) -> set[int]:
    """Positions of the last tokens of answers."""
    return {lookup.past - 1 for lookup in document.lookups}


class Decoding:
    """How documents are decoded."""

    def __init__(self, schedule: Schedule, budgets: Budgets, *, generate: bool = False, bin_size: int = BIN) -> None:
        self.schedule, self.budgets, self.generate, self.bin = schedule, budgets, generate, bin_size

    @property
    def bounds(self) -> list[str]:
        """The oracle knows what the given text attends to, and nothing of a text that is yet to be made."""
        return [] if self.generate else [ORACLE]

    def to_json(self) -> dict[str, Any]:
        """What figures follow from."""
        return {"schedule": self.schedule.text, "text": "generated" if self.generate else "given", "bin": self.bin}

    def size(self, retention: float, prompt: int) -> Size:
        """A share of the prompt's tokens, 1 being no limit, or a number of tokens."""
        if self.budgets.keep:
            keep = self.budgets.keep[self.budgets.retentions.index(retention)]
            return Size(keep, keep=keep)
        if retention >= 1:
            return Size(NEVER)
        removed = self.budgets.removed(retention, prompt)
        return Size(kept_count(prompt, removed), removed=removed)

    def allowed(self, documents: Sequence[TokenDocument]) -> list[float]:
        """What caches of each budget hold by the schedule, over the tokens that had come; summed over documents."""
        shares = []
        for retention in self.budgets.retentions:
            counted = [self._cells(document, self.size(retention, document.prompt)) for document in documents]
            shares.append(sum(cached for cached, _ in counted) / sum(seen for _, seen in counted))
        return shares

    def _cells(self, document: TokenDocument, size: Size) -> tuple[int, int]:
        turns, n = turn_ends(document), document.prompt
        limit = size.capacity if size.capacity != NEVER else len(document.ids)
        held = min(n, limit) if self.schedule.cuts_prompt else n
        cached = seen = 0
        for position in range(n, len(document.ids)):
            held += 1
            if self.schedule.due(position - n, held, limit, position in turns):
                held = min(held, limit)
            cached += held
            seen += position + 1
        return cached, seen

    def figures(self, run: DocumentRun, scorer: Scorer | None) -> list[Figures]:
        """Of each budget; None: the oracle's."""
        if not any(run.is_evicted(number) for number in run.layers):
            raise ToolError("all layers have a sliding window, and are left alone without --sliding-layers")
        if scorer is not None:
            run.prepare(scorer)
        return _Loop(self, run, scorer, [self.size(r, run.prompt) for r in self.budgets.retentions]).run()


class _Loop:
    def __init__(self, how: Decoding, run: DocumentRun, scorer: Scorer | None, sizes: Sequence[Size]) -> None:
        self._how, self._run, self._document = how, run, run.document
        self._longest = len(self._document.ids)
        self._device = tokens_of(run.model, self._document.ids[:1]).device
        self._types = run.judge.source.tokenizer.token_types
        self._turn_ends = turn_ends(self._document)
        self._position = run.prompt
        self._token_types: list[int] = []
        self._sequences = [self._sequence(scorer, size) for size in sizes]
        for sequence in self._sequences:
            sequence.begin()

    def _sequence(self, scorer: Scorer | None, size: Size) -> _Sequence:
        deciders = list(self._run.judge.pool.map(self._decider(scorer, size), sorted(self._run.layers)))
        held = [HeldLayer(self._run.prompt_layers[number]) for number in sorted(self._run.layers)]
        return _Sequence(size, held, deciders)

    def _decider(self, scorer: Scorer | None, size: Size) -> Callable[[int], Decider | None]:
        run, cuts = self._run, self._how.schedule.cuts_prompt
        removed, keep = (size.removed, size.keep) if cuts else (0.0, 0)

        def make(number: int) -> Decider | None:
            if not run.is_evicted(number):
                return None
            if scorer is not None:
                return ScorerDecides(run, number, scorer, longest=self._longest, removed=removed, keep=keep)
            return OracleDecides(run, number, keep=size.capacity if cuts else 0)

        return make

    @torch.inference_mode()
    def run(self) -> list[Figures]:
        ids = self._document.ids
        texts = [list(ids[: self._run.prompt + 1]) for _ in self._sequences]
        logits: list[Tensor] = []  # [step]: [batch][vocabulary]
        for position in range(self._run.prompt, self._longest):
            self._position = position
            fed = [text[position] for text in texts]
            self._token_types = [int(kind) for kind in self._types(fed)]
            for sequence in self._sequences:
                sequence.cached.append(0)
                sequence.replaced.append(0)
            with attending(self):
                output = self._run.model(
                    input_ids=tokens_of(self._run.model, fed).T,
                    position_ids=torch.full((len(fed), 1), position, device=self._device),
                    use_cache=False,
                )
            logits.append(output.logits[:, -1].cpu())
            for at, text in enumerate(texts):
                if position + 1 < self._longest:
                    text.append(int(logits[-1][at].argmax()) if self._how.generate else ids[position + 1])
        made = torch.stack(logits, 1)
        return [self._figures(*one) for one in zip(self._sequences, texts, made, strict=True)]

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Of one layer, [batch][heads][1][d]; in place of the model's attention."""

        def of_sequence(at: int) -> Tensor:
            return self._step(at, number, q[at, :, 0], k[at, :, 0], v[at, :, 0])

        outputs = list(self._run.judge.pool.map(of_sequence, range(len(self._sequences))))
        return torch.stack(outputs)[:, :, None]

    @torch.inference_mode()
    def _step(self, at: int, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sequence = self._sequences[at]
        held, decider = sequence.layers[number], sequence.deciders[number]
        held.add(k, v, self._position)
        output = held.attend(q, self._position)
        if decider is not None:
            sequence.largest = max(sequence.largest, int(held.counts.max()))
            slots = decider.step(q, k, v, self._token_types[at], self._capacity(sequence, held))
            if slots is not None:
                sequence.replaced[-1] += held.keep(slots)
                held.cut_done(self._position + 1)
            sequence.cached[-1] += int(held.counts.sum())
        return output

    def _capacity(self, sequence: _Sequence, held: HeldLayer) -> int:
        """What the cache is cut to in this step."""
        capacity, step = sequence.size.capacity, self._position - self._run.prompt
        ends_turn = self._position in self._turn_ends
        due = self._how.schedule.due(step, int(held.counts.max()), capacity, ends_turn)
        return capacity if due else NEVER

    def _figures(self, sequence: _Sequence, text: Sequence[int], logits: Tensor) -> Figures:
        n = self._run.prompt
        targets = torch.tensor(text[n + 1 :])
        kl, delta_nll = by_position(self._full(text), logits, text[n + 1 :])
        heads = sum(len(held.counts) for held in sequence.evicted)
        steps = len(kl)
        more = {
            "kl": kl,
            "delta_nll": delta_nll,
            "right": (logits[:-1].argmax(-1) == targets).tolist(),
            "cached": sequence.cached,
            "replaced": sequence.replaced,
            "heads": heads,
            "continuation_kept": sequence.continuation_kept(n, self._longest),
            "largest": sequence.largest,
        }
        seen = heads * sum(range(n + 1, n + 1 + steps))
        change = fsum(delta_nll) / len(delta_nll) if delta_nll else 0.0
        return Figures(fsum(kl) / steps, change, sum(sequence.cached), seen, more)

    def _full(self, text: Sequence[int]) -> Predictions:
        """The predictions of the run without eviction on the same text."""
        run = self._run
        if not self._how.generate:
            return run.predictions
        everything = [all_kept(run.prompt_layers)]
        return Predictions(run_continuation(run.model, text, run.prompt, run.prompt_layers, everything)[0].cpu())


def schedule_from(given: argparse.Namespace) -> Schedule | None:
    """What is asked for, of options that fit it; None by the protocol prefill, which has none of them."""
    if given.protocol != "decode":
        for option in ("schedule", "generate", "bin"):
            if getattr(given, option) is not None:
                raise UsageError(f"--{option} is for --protocol decode")
        return None
    if given.correlate is not None:
        raise UsageError("--correlate is for the protocol prefill")
    if given.bin is not None and given.bin < 1:
        raise UsageError("--bin is at least 1")
    schedule = Schedule() if given.schedule is None else parse_schedule(given.schedule)
    if given.generate and schedule.rule == "turns":
        raise UsageError("--schedule turns cuts after the text's answers, and --generate does not follow the text")
    return schedule


def check_of(schedule: Schedule) -> Callable[[Scorer, Shape], None]:
    """Raises UsageError, which says why, where a scorer cannot decide at the cuts of the schedule."""

    def check(scorer: Scorer, shape: Shape) -> None:
        check_decoding(scorer, shape)
        # Of scorers that fit so far those with a threshold alone let heads hold different numbers of tokens.
        if not schedule.cuts_prompt and scorer.row_class["budgets"] != "uniform":
            raise UsageError(
                f"scorer '{scorer.name}' has a threshold, which decides over the prompt's tokens at its end, and the "
                f"schedule {schedule.text} does not cut there"
            )

    return check


def decoding_from(
    given: argparse.Namespace, schedule: Schedule, budgets: Budgets, documents: Sequence[TokenDocument]
) -> Decoding:
    if schedule.rule == "turns" and not any(document.lookups for document in documents):
        raise UsageError(
            "--schedule turns cuts behind each answer, and no document says where its continuation has any"
        )
    size = BIN if given.bin is None else given.bin
    return Decoding(schedule, budgets, generate=bool(given.generate), bin_size=size)

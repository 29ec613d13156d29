"""The measurements: a model that is loaded once, a document whose prompt is run once, and figures of kept sets.

Nothing here reads options or prints, so that other front ends can keep a Judge alive.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evictlab_tools.attention import LayerAttention, output_projection, wo_gram, wov_l1
from evictlab_tools.companions import read_companion
from evictlab_tools.errors import ToolError
from evictlab_tools.external.scorer import ExternalScorer, Prompt
from evictlab_tools.library import ALL_QUERIES, USUAL, LayerColumns, LayerInput, Memory, Scorer
from evictlab_tools.masked import (
    ATTENTION,
    PromptLayer,
    check_continuation,
    prompt_layer,
    run_continuation,
)
from evictlab_tools.models import ModelSource
from evictlab_tools.reading import read, watch
from evictlab_tools.reconstruct import KINDS, Replay, instructions
from evictlab_tools.scoring.choice import NATIVE, Scoring
from evictlab_tools.scoring.recorded import recorded_layer
from evictlab_tools.scoring.torch_scorer import MOST_COLUMNS
from evictlab_tools.shapes import Shape, kept_count
from evictlab_tools.spill import until
from evictlab_tools.uncompressed import Uncompressed, judge
from evictlab_tools.verdict.bounds import ORACLE, future_attention, kept_by_bound
from evictlab_tools.verdict.cost import CacheShape, Cost, time_scoring
from evictlab_tools.verdict.divergence import Predictions, compare
from evictlab_tools.verdict.documents import TokenDocument

_on_cpu = partial(torch.Tensor.to, device="cpu", dtype=torch.float32)

Masks = list[NDArray[np.bool_]]  # [layer]: [H_kv][n]


@dataclass(frozen=True)
class Figures:
    kl: float  # nats a token
    delta_nll: float  # nats a token
    kept: int  # cached tokens that were kept, over the layers that eviction judges
    cached: int
    more: Mapping[str, Any] | None = None  # of the protocol decode: along the continuation


class Judge:
    """A model, loaded when the first document comes. Threads may share it once it is."""

    def __init__(
        self,
        source: ModelSource,
        *,
        sliding_layers: bool = False,
        threads: int = 2,
        shape: Shape = USUAL,
        on_answers: bool = False,
        scoring: Scoring = NATIVE,
    ) -> None:
        self.scoring = scoring
        self.source, self.sliding_layers, self.shape, self.on_answers = source, sliding_layers, shape, on_answers
        self.pool = ThreadPoolExecutor(threads)
        self._model: torch.nn.Module | None = None
        self._projections: dict[int, Tensor] = {}
        self._grams: dict[int, NDArray[np.float64]] = {}

    def read(self, document: TokenDocument) -> DocumentRun:
        """Runs the whole document once; ToolError where what its attention reads is not proved on this very run."""
        if not 0 < document.prompt < len(document.ids):
            raise ToolError(f"{document.name}: a prompt of {document.prompt} of {len(document.ids)} tokens cannot be")
        if self.on_answers and not document.lookups:
            raise ToolError(f"{document.name}: its continuation has no answer that the prompt gives")
        model = self.load(document)
        m = len(document.ids) - document.prompt
        step = self.source.device.step(len(document.ids))
        reading = read(model, document.ids, range(self.source.num_layers), m + 1, step)
        check_continuation(model, document.ids, document.prompt, reading.layers, reading.logits[1:])
        uncompressed = judge(reading.logits, document.ids, document.prompt, document.lookups)
        return DocumentRun(self, model, document, reading.layers, Predictions(reading.logits[1:]), uncompressed)

    def load(self, document: TokenDocument) -> torch.nn.Module:
        """The model, loaded if it is not yet. Before threads share the judge."""
        if self._model is None:
            self._model = self.source.load(ATTENTION)
            watch(self._model, document.ids)
        return self._model

    def projection(self, layer: int, attention: LayerAttention) -> Tensor:
        if layer not in self._projections:
            self._projections[layer] = output_projection(layer, attention)
        return self._projections[layer]

    def wo_gram(self, layer: int, attention: LayerAttention) -> NDArray[np.float64]:
        if layer not in self._grams:
            self._grams[layer] = wo_gram(self.projection(layer, attention), attention.v.shape[-1])
        return self._grams[layer]


@dataclass
class DocumentRun:
    """One document's uncompressed run, and what else has been measured on it."""

    judge: Judge
    model: torch.nn.Module
    document: TokenDocument
    layers: Mapping[int, LayerAttention]
    predictions: Predictions  # at the continuation's positions
    uncompressed: Uncompressed
    _norms: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _memories: dict[int, Memory] = field(default_factory=dict)  # by layer
    _lock: Any = field(default_factory=Lock)  # of the second passes, which threads may ask for at once
    _second_passes: dict[str, dict[int, NDArray[np.float32]]] = field(default_factory=dict)  # by kind and layer

    @property
    def prompt(self) -> int:
        return self.document.prompt

    @cached_property
    def prompt_layers(self) -> dict[int, PromptLayer]:
        return {number: prompt_layer(layer, self.prompt) for number, layer in self.layers.items()}

    def is_evicted(self, layer: int) -> bool:
        """Layers with a sliding window are left alone unless asked for."""
        return self.judge.sliding_layers or self.layers[layer].window == 0

    @property
    def cache(self) -> CacheShape:
        kv_heads, _, dim = self.layers[0].k.shape
        evicted = sum(self.is_evicted(layer) for layer in self.layers)
        return CacheShape(2 * kv_heads * dim, evicted, len(self.layers))

    def cost(self, scorer: Scorer | ExternalScorer, removed: float) -> Cost | None:
        """What scoring the first layer that is evicted takes."""
        if isinstance(scorer, ExternalScorer):
            return None  # a press runs inside the model
        self.prepare(scorer)
        number = next((number for number in sorted(self.layers) if self.is_evicted(number)), None)
        if number is None:
            return None
        if self.judge.scoring.of(scorer) is not None:
            place = self.layers[number].k.device
            return time_scoring(scorer, lambda: self.scored(number, scorer, scorer.new_memory()), removed, str(place))
        alone = replace(self.layer_input(number, scorer), memory=None)
        return time_scoring(scorer, lambda: alone, removed)

    @cached_property
    def token_types(self) -> NDArray[np.uint8]:
        return self.judge.source.tokenizer.token_types(self.document.ids[: self.prompt])

    def layer_input(self, number: int, scorer: Scorer) -> LayerInput:
        """No more than the scorer needs."""
        layer, needs, n = self.layers[number], scorer.needs, self.prompt
        rope = layer.rope
        assert rope is not None
        first = 0 if needs.queries == ALL_QUERIES else n - min(n, needs.queries)
        return LayerInput(
            layer=number,
            num_layers=self.judge.source.num_layers,
            query_heads=layer.q.shape[0],
            q=rope.ordered(_on_cpu(layer.q[:, first:n])).numpy() if needs.queries > 0 else None,
            k=rope.ordered(_on_cpu(layer.k[:, :n])).numpy(),
            v=_on_cpu(layer.v[:, :n]).numpy(),
            first_query=first,
            rope_inv_freq=rope.frequencies.numpy(),
            rope_scale=rope.factor,
            softmax_scale=layer.scale,
            sliding_window=layer.window,
            token_type=self.token_types if needs.token_type else None,
            wov_norm=self._wov_norm(number) if needs.may_use_wov_norm else None,
            memory=self._memories.setdefault(number, scorer.new_memory()),
            wo_gram=self.judge.wo_gram(number, layer) if needs.wo_gram else None,
            reconstruction={kind: self._second_passes[kind][number] for kind in needs.reconstruction},
        )

    def scored(self, number: int, scorer: Scorer, memory: Memory | None = None) -> LayerInput | LayerColumns:
        """What a scorer reads of a layer; of columns from PyTorch those that the memory lacks are computed now."""
        by_torch = self.judge.scoring.of(scorer)
        if by_torch is None:
            return self.layer_input(number, scorer)
        if memory is None:
            memory = self._memories.setdefault(number, scorer.new_memory())
        if len(memory.put_names) > MOST_COLUMNS:
            memory = self._memories[number] = scorer.new_memory()
        attention = self.layers[number]
        projection = partial(self.judge.projection, number, attention)
        layer = recorded_layer(attention, number, self.judge.source.num_layers, self.prompt, projection)
        given: dict[str, NDArray[Any]] = {
            kind: self._second_passes[kind][number] for kind in scorer.needs.reconstruction
        }
        if scorer.needs.token_type:
            given["token_type"] = self.token_types
        return by_torch.columns(layer, [given], [memory])[0]

    def _reconstruct(self, kinds: Sequence[str]) -> None:
        """Takes the second passes that are not known yet from the suite, or else from the model."""
        with self._lock:
            missing = tuple(kind for kind in kinds if kind not in self._second_passes)
            if not missing:
                return
            held: tuple[str, ...] = missing
            if self.document.second_pass is not None:
                found, held = read_companion(*self.document.second_pass), KINDS
            else:
                told = instructions(self.judge.source.tokenizer.encode_alone)
                prompt, wanted = self.document.ids[: self.prompt], range(len(self.layers))
                found = Replay(self.model, prompt, self.layers, wanted, told, missing).run()
            for at, kind in enumerate(held):
                self._second_passes[kind] = {number: scores[at].cpu().numpy() for number, scores in found.items()}

    def _wov_norm(self, number: int) -> NDArray[np.float32]:
        if number not in self._norms:
            layer = self.layers[number]
            self._norms[number] = wov_l1(self.judge.projection(number, layer), layer.v)
        return self._norms[number][:, : self.prompt]

    def _by_layer(self, budgets: int, select: Callable[[int], NDArray[np.bool_]]) -> list[Masks]:
        """[budget][layer], from each judged layer's [budget][H_kv][n]."""

        def of_layer(number: int) -> NDArray[np.bool_]:
            if self.is_evicted(number):
                return select(number)
            return np.ones((budgets, self.layers[number].k.shape[0], self.prompt), np.bool_)

        by_layer = list(self.judge.pool.map(of_layer, range(len(self.layers))))
        return [[masks[budget] for masks in by_layer] for budget in range(budgets)]

    def prepare(self, scorer: Scorer) -> None:
        """Makes the lazy parts of the scorer's layer inputs, so that threads may then ask for these."""
        by_torch = self.judge.scoring.of(scorer) is not None
        if scorer.needs.may_use_wov_norm and not by_torch:
            for number in range(len(self.layers)):
                self._wov_norm(number)
        if scorer.needs.wo_gram and not by_torch:
            for number, layer in self.layers.items():
                self.judge.wo_gram(number, layer)
        if scorer.needs.token_type:
            assert self.token_types is not None
        self._reconstruct(scorer.needs.reconstruction)

    def keep(
        self, scorer: Scorer | ExternalScorer, removed: Sequence[float], shape: Shape | None = None
    ) -> list[Masks]:
        """What a scorer keeps at each removed fraction; at the judge's shape where no other is named."""
        at = self.judge.shape if shape is None else shape
        if isinstance(scorer, ExternalScorer):
            return self._keep_external(scorer, removed, at)
        self.prepare(scorer)
        if scorer.needs.model_budgets or at.granularity == "model":
            model = scorer.model(removed, at)
            judged = [number for number in range(len(self.layers)) if self.is_evicted(number)]
            list(self.judge.pool.map(lambda number: model.add(self.scored(number, scorer)), judged))
            return self._by_layer(len(removed), lambda number: model.keep(number).mask)
        return self._by_layer(len(removed), lambda number: scorer.keep(self.scored(number, scorer), removed, at).mask)

    def _keep_external(self, scorer: ExternalScorer, removed: Sequence[float], shape: Shape) -> list[Masks]:
        def cut(scores: Mapping[int, NDArray[np.float64]], shares: Sequence[float]) -> dict[int, NDArray[np.bool_]]:
            return kept_by_bound(ORACLE, scores, [kept_count(self.prompt, share) for share in shares], shape)

        judged = {number: layer for number, layer in self.layers.items() if self.is_evicted(number)}
        prompt = Prompt(self.model, self.document.ids[: self.prompt], judged, self.judge.source.num_layers)
        kept = scorer.keep(prompt, removed, cut)
        return self._by_layer(len(removed), lambda number: kept[number])

    def trimmed(self) -> DocumentRun:
        """Without what scorers do not see, that is without what the oracles need: less than half the memory."""
        n = self.prompt
        layers = {
            number: replace(
                layer,
                q=until(layer.q, n),
                k=layer.k[:, :n].clone(),
                v=layer.v[:, :n].clone(),
                output=layer.output[:0].clone(),
            )
            for number, layer in self.layers.items()
        }
        return replace(self, layers=layers, _norms={number: norms[:, :n] for number, norms in self._norms.items()})

    @cached_property
    def future_attention(self) -> dict[int, NDArray[np.float64]]:
        """By layer, the continuation's attention to each prompt token, mean over its queries and the group's heads."""
        return {number: future_attention(layer, self.prompt) for number, layer in self.layers.items()}

    def keep_oracle(self, bound: str, removed: Sequence[float]) -> list[Masks]:
        if self.layers[0].q.shape[1] == self.prompt:
            raise ToolError(f"{self.document.name}: the oracles need what a trimmed run does not hold")
        counts = [kept_count(self.prompt, share) for share in removed]
        cells = {number: self.future_attention[number] for number in sorted(self.layers) if self.is_evicted(number)}
        kept = kept_by_bound(bound, cells, counts, self.judge.shape)
        return self._by_layer(len(counts), lambda number: kept[number])

    def measure(self, kept: Sequence[Masks]) -> list[Figures]:
        """Of each kept set: runs the continuation with all other prompt tokens hidden, all sets as one batch."""
        tensors = [[torch.from_numpy(mask) for mask in masks] for masks in kept]
        evicted = run_continuation(self.model, self.document.ids, self.prompt, self.prompt_layers, tensors)
        return [self._figures(masks, logits) for masks, logits in zip(kept, evicted, strict=True)]

    @cached_property
    def answer_rows(self) -> list[int]:
        """Of the continuation's positions those whose next token is an answer's."""
        tokens = {token for lookup in self.document.lookups for token in range(lookup.first, lookup.past)}
        return [token - 1 - self.prompt for token in sorted(tokens)]

    @cached_property
    def answer_predictions(self) -> Predictions:
        return Predictions(self.predictions.logits[self.answer_rows])

    def compare(self, evicted: Tensor) -> tuple[float, float]:
        """KL divergence and change of the negative log-likelihood, over the continuation, or over answers alone."""
        targets = self.document.ids[self.prompt + 1 :]
        if not self.judge.on_answers:
            return compare(self.predictions, evicted, targets)
        rows = self.answer_rows
        return compare(self.answer_predictions, evicted[rows], [targets[row] for row in rows])

    def _figures(self, masks: Masks, evicted: Tensor) -> Figures:
        kl, delta_nll = self.compare(evicted)
        judged = [mask for number, mask in enumerate(masks) if self.is_evicted(number)]
        return Figures(kl, delta_nll, int(sum(mask.sum() for mask in judged)), sum(mask.size for mask in judged))

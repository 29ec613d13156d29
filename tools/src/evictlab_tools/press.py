"""EvictlabPress: any Evictlab scorer as a press of NVIDIA's kvpress, in the models that docs/models.md lists.

    from evictlab_tools.press import EvictlabPress
    press = EvictlabPress(compression_ratio=0.5, scorer="snapkv@kvpress")
    with press(model):
        model(input_ids, past_key_values=cache)

Needs kvpress: pip install 'evictlab-tools[kvpress]'.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kvpress.presses.base_press import is_prefilling
from numpy.typing import NDArray
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from evictlab_tools.attention import wo_gram, wov_l1
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.later_runs import Left, remember, run_behind, whole_prompt, with_run
from evictlab_tools.library import ALL_QUERIES, USUAL, Lab, LayerColumns, LayerInput, Model, Scorer
from evictlab_tools.prompt.cache import note_removed
from evictlab_tools.prompt.layer import Layer
from evictlab_tools.prompt.press import PromptScorer
from evictlab_tools.prompt.question import Refused
from evictlab_tools.prompt.rope import found_rope
from evictlab_tools.ragged import RaggedCache
from evictlab_tools.ragged.attention import TOLD
from evictlab_tools.scoring.choice import Scoring, prefers_torch
from evictlab_tools.scoring.options import SCORINGS
from evictlab_tools.scoring.torch_scorer import TorchScorer
from evictlab_tools.second_pass import SecondPass
from evictlab_tools.shapes import Shape, kept_count, removed_share

__all__ = ["EvictlabPress", "Refused", "Shape", "positions_after"]

# The column that they are made of follows the colon.
DERIVED_COLUMNS = {"rank", "head_mean", "head_share", "zscore", "layer_mean", "layer_share"}
TURNING_COLUMNS = {
    "expected_attn",
    "replayed_attn",
    "capacity",
    "key_leverage",
    "query_axis",
    "tri_score",
}  # they turn queries or keys by RoPE, or want its pairs
COLUMNS_OF_ANY_KEYS = {
    "key_norm",
    "value_norm",
    "key_cos",
    "wov_norm",
    "layer_idx",
    "layer_ratio",
    "num_layers",
    "calibrated",
}
SDPA_WORKS = 'models loaded with attn_implementation="sdpa" work'


def positions_after(prompt: int, tokens: int) -> Tensor:
    """[1][tokens]: position_ids of the tokens that follow a prompt of so many, however many of it a cache still holds.

    Wanted where another press than EvictlabPress itself, or one around it, did the cutting: its cache counts rows.
    """
    return torch.arange(prompt, prompt + tokens)[None]


def gathered(keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """What stays by a mask [batch][H_kv][n] that keeps as many in every head."""
    places = mask.nonzero()[:, 2].reshape(*mask.shape[:2], -1, 1)
    places = places.expand(-1, -1, -1, keys.shape[-1])
    return keys.gather(2, places).contiguous(), values.gather(2, places).contiguous()


@dataclass
class EvictlabPress(PromptScorer):
    """Keeps what the scorer keeps, its budgets for layers, heads and the whole model included.

    Of the last kind, and where all layers share one set, the layers are scored as the prompt runs, and cut when the
    last one was. Where layers or heads may keep different numbers of tokens, or blocks whose last one may be short,
    nothing is removed: the evicted keys are masked in the attention, as kvpress's own AdaKVPress does it. With
    `ragged` they are removed there, too: the cache becomes a RaggedCache, and what is evicted holds no memory. With
    `again` it evicts after each run inside the context, not at the end of the first prompt alone: prompts in chunks,
    several turns, generation. score() lets presses that wrap a ScorerPress use the scorer.
    """

    compression_ratio: float = 0.0
    scorer: str = "snapkv@kvpress"
    plugin_dirs: tuple[Path, ...] = ()
    calibration: Path | str | None = None  # of the model, by evictlab-calibrate: for scorers that read one
    shape: Shape = USUAL  # Shape(granularity="layer", block=16), say: the grain at which tokens go
    keep: int | None = None  # tokens that each set keeps, in place of the compression ratio
    ragged: bool = False  # frees the memory of what goes where heads keep different numbers, in place of masking it
    again: bool = False  # evicts after later runs, too; the ratio is then of all tokens so far
    scoring: str = "auto"  # native: in libevictlab; torch: where the model is; auto: native on the CPU, else torch
    tokenizer: Any = None  # of scorers that read a second pass; None: by the name of the model, as kvpress's KVzipPress
    _scorer: Scorer = field(init=False, repr=False)
    _by_device: Scoring = field(init=False, repr=False)
    _second_pass: SecondPass = field(init=False, repr=False)
    _columns: set[str] = field(init=False, repr=False)
    _models: list[Model] = field(default_factory=list, init=False, repr=False)  # of each sequence of the batch
    _waiting: list[Any] = field(default_factory=list, init=False, repr=False)  # attention modules that were scored
    _freed: Tensor | None = field(default=None, init=False, repr=False)  # what the layer keeps that is at hand

    def __post_init__(self) -> None:
        super().__post_init__()
        lab = Lab(self.plugin_dirs)
        if self.calibration is not None:
            lab.calibrate(Path(self.calibration))
        self._scorer = lab.open(self.scorer)
        self.scorer = self._scorer.text  # by its full name
        if self.scoring not in SCORINGS:
            raise UsageError(f"scoring is {self.scoring!r}, but must be one of {', '.join(SCORINGS)}")
        self._by_device = Scoring(self.scoring, True)
        if self.scoring == "torch":
            self._by_device.of(self._scorer)
        self._second_pass = SecondPass(self._scorer.needs.reconstruction)
        parts = [column.split(":") for column in self._scorer.columns]
        self._columns = {next(part for part in column if part not in DERIVED_COLUMNS) for column in parts}
        self._scorer.check_shape(self.shape)
        if self.keep is not None and (self.keep < 1 or self.compression_ratio != 0):
            raise UsageError("keep is a number of tokens above 0, in place of the compression ratio")
        if self._scorer.needs.token_type:
            raise ToolError(f"scorer '{self.scorer}' needs token types, which a press is not told")
        if self.again and self.scoring == "torch":
            raise UsageError("scoring='torch' is for the end of a prompt; again=True scores natively, in libevictlab")
        if self.again and (self._masks or self._waits or self._scorer.needs.reconstruction):
            raise UsageError(
                f"scorer '{self.scorer}' {self._why_masked}: it evicts at the end of a prompt alone, and not again; "
                "again=True is for scorers that keep as many in every head, token by token"
            )

    @contextmanager
    def __call__(self, model: Any) -> Iterator[None]:
        """A scorer that reads a second pass evicts when the context ends: the prompt alone is to be run in it."""
        if not self._scorer.needs.reconstruction or self._evicts_nothing:
            with super().__call__(model):
                yield
            return
        with self._second_pass.awaited(model, self.tokenizer):
            with super().__call__(model):
                yield
            for module, kwargs, output in self._second_pass.run():
                self._evict(module, [], kwargs, output)

    @property
    def _evicts_nothing(self) -> bool:
        return self.compression_ratio == 0 and self.keep is None

    @property
    def _masks(self) -> bool:
        """Whether heads or layers may keep different numbers of tokens."""
        return self._scorer.needs.uneven or self.shape.block > 1

    @property
    def _waits(self) -> bool:
        """Whether what a layer keeps is known once all are scored."""
        return self._scorer.needs.model_budgets or self.shape.granularity == "model"

    def _removed(self, tokens: int) -> float:
        return self.compression_ratio if self.keep is None else removed_share(self.keep, tokens)

    def forward_hook(self, module: Any, input: list[Tensor], kwargs: dict[str, Any], output: Any) -> Any:
        if self._second_pass.hold(module, kwargs, output):
            return output
        return self._evict(module, input, kwargs, output)

    def _evict(self, module: Any, input: list[Tensor], kwargs: dict[str, Any], output: Any) -> Any:
        self._freed = None
        if self.again and not is_prefilling(kwargs["cache_position"], kwargs["hidden_states"].shape[1]):
            self._evict_again(module, kwargs)
            return output
        output = super().forward_hook(module, input, kwargs, output)
        if self._waiting and module.layer_idx == module.config.get_text_config().num_hidden_layers - 1:
            self._cut(kwargs["past_key_values"])
        if self._freed is not None:
            RaggedCache.take_over(kwargs["past_key_values"], module.layer_idx, self._freed)
        return output

    def score(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> Tensor:
        if self.shape != USUAL or self.keep is not None or self.ragged:
            raise ToolError(
                "a press around this one cuts by itself, so its shape, number of tokens and ragged have no effect"
            )
        layer = self.layer(module, hidden_states, keys, values, kwargs)
        if (by_torch := self._by_torch(layer)) is not None and by_torch.on_device:
            return by_torch.scores(layer)
        scores = [self._scorer.score(given, self.compression_ratio) for given in self._given(layer)]
        return torch.from_numpy(np.stack(scores)).to(keys.device)

    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        if self._evicts_nothing:
            return keys, values
        layer = self.layer(module, hidden_states, keys, values, kwargs)
        if layer.left_alone:
            self.tell_of_windows(module)
            return keys, values
        if self._masks or self._waits:
            self._check_masking(layer)
        removed = [self._removed(layer.tokens)]
        by_torch, plain = self._by_torch(layer), self.shape.usual and not (self._masks or self._waits)
        if by_torch is not None and by_torch.on_device and plain:
            count = kept_count(layer.tokens, removed[0])
            best = by_torch.scores(layer).argsort(dim=-1, descending=True, stable=True)[..., :count]
            places = best.sort(dim=-1).values[..., None].expand(-1, -1, -1, keys.shape[-1])
            return keys.gather(2, places).contiguous(), values.gather(2, places).contiguous()
        return self._cut_by_library(layer, removed)

    def _cut_by_library(self, layer: Layer, removed: Sequence[float]) -> tuple[Tensor, Tensor]:
        module, keys, values = layer.module, layer.keys, layer.values
        inputs = self._given(layer)
        if self._waits:
            self._add(module, inputs, removed)
            return keys, values
        masks = [self._scorer.keep(given, removed, self.shape).mask[0] for given in inputs]
        mask = torch.from_numpy(np.stack(masks)).to(keys.device)  # [batch][H_kv][n]
        if self._masks and self.ragged:
            self._freed = mask
            return keys, values
        if self._masks:
            module.masked_key_indices = (~mask).nonzero(as_tuple=True)
            return keys, values
        if self.again:
            left = whole_prompt(layer, self._queries(layer)[0]).kept(mask)
            remember(layer.kwargs["past_key_values"], module.layer_idx, left)
        return gathered(keys, values, mask)

    def _evict_again(self, module: Any, kwargs: dict[str, Any]) -> None:
        """After a run in a cache that held something before it."""
        cache = kwargs["past_key_values"]
        held = cache.layers[module.layer_idx]
        if self._evicts_nothing or getattr(held, "is_sliding", False):
            return
        layer = run_behind(module, kwargs, held.keys, held.values)
        rows = held.keys.shape[2]
        left = with_run(cache, layer, rows, self._queries(layer)[0], self._scorer.needs.queries)
        stays = kept_count(left.seen, self.compression_ratio) if self.keep is None else self.keep
        if stays < rows:
            latest = 0 if left.queries is None else left.queries.shape[2]
            inputs = self._inputs(layer, held.keys, held.values, left.queries, left.seen - latest, left)
            removed = [removed_share(stays, rows)]
            masks = [self._scorer.keep(given, removed, self.shape).mask[0] for given in inputs]
            mask = torch.from_numpy(np.stack(masks)).to(held.keys.device)
            held.keys, held.values = gathered(held.keys, held.values, mask)
            left = left.kept(mask)
        remember(cache, module.layer_idx, left)
        note_removed(cache, module, left.seen)

    def _by_torch(self, layer: Layer) -> TorchScorer | None:
        if self.again:  # what earlier evictions left is scored by libevictlab
            return None
        return self._by_device.of(self._scorer) if prefers_torch(self.scoring, layer.keys.device.type) else None

    def _given(self, layer: Layer) -> Sequence[LayerInput | LayerColumns]:
        """Of each sequence of the batch."""
        by_torch = self._by_torch(layer)
        if by_torch is None:
            return self._inputs(layer, layer.keys, layer.values, *self._queries(layer))
        batch = range(layer.keys.shape[0])
        reads = self._scorer.needs.reconstruction
        return by_torch.columns(layer, [self._second_pass.of(layer, sequence) if reads else {} for sequence in batch])

    def _add(self, module: Any, inputs: Sequence[LayerInput | LayerColumns], removed: Sequence[float]) -> None:
        """Scores a layer, which is cut with the others."""
        if not self._waiting or module.layer_idx <= self._waiting[-1].layer_idx:  # a new prompt
            self._models, self._waiting = [self._scorer.model(removed, self.shape) for _ in inputs], []
        for model, given in zip(self._models, inputs, strict=True):
            model.add(given)
        self._waiting.append(module)

    def _cut(self, cache: Any) -> None:
        """Divides the model's budget, and masks or frees what goes in all layers that were scored."""
        for module in self._waiting:
            mask = torch.from_numpy(np.stack([model.keep(module.layer_idx).mask[0] for model in self._models]))
            if self.ragged:
                RaggedCache.take_over(cache, module.layer_idx, mask)
                continue
            device = next(module.parameters()).device
            module.masked_key_indices = (~mask).to(device).nonzero(as_tuple=True)
        self._models, self._waiting = [], []

    @property
    def _why_masked(self) -> str:
        if self._scorer.needs.uneven:
            return "lets layers or heads keep different numbers of tokens"
        return "evicts in blocks or for all layers at once"

    def _check_masking(self, layer: Layer) -> None:
        """kvpress hides the keys of masked_key_indices in the attention functions that it patched, and attention over a
        ragged cache stands in some of transformers' registry."""
        attention = layer.module.config._attn_implementation
        patched = getattr(ALL_ATTENTION_FUNCTIONS.get(attention), "__qualname__", "").startswith("attention_patch.")
        why = f"scorer '{self.scorer}' {self._why_masked}, which "
        if self.ragged and attention not in TOLD:
            raise layer.refuse(f"{why}a ragged cache frees, but not in {attention} attention", SDPA_WORKS)
        if not self.ragged and not patched:
            raise layer.refuse(f"{why}kvpress masks, but not in {attention} attention", SDPA_WORKS)
        if layer.first is None:
            raise layer.refuse(
                f"{why}can be {'freed' if self.ragged else 'masked'} at the end of a prompt alone",
                "scorers that keep as many in every head work there",
            )

    def _queries(self, layer: Layer) -> tuple[Tensor | None, int]:
        """The latest that the scorer reads, and the place of the first one among the layer's tokens."""
        tokens, needs = layer.tokens, self._scorer.needs
        if needs.queries > 0 or not self._columns <= COLUMNS_OF_ANY_KEYS:
            tokens = layer.prompt_tokens
        first = tokens - (tokens if needs.queries == ALL_QUERIES else min(tokens, needs.queries))
        return (layer.queries(slice(first, tokens)) if needs.queries > 0 else None), first

    def _inputs(
        self, layer: Layer, keys: Tensor, values: Tensor, queries: Tensor | None, first: int, left: Left | None = None
    ) -> list[LayerInput]:
        """Of each sequence of the batch; `left` where something was evicted before."""
        needs, module = self._scorer.needs, layer.module
        reads_tensors = needs.may_use_wov_norm and not needs.wov_norm
        turns = (reads_tensors and queries is not None) or not self._columns.isdisjoint(TURNING_COLUMNS)
        rope = found_rope(layer) if turns else None
        if rope is not None:
            queries, keys = None if queries is None else rope.ordered(queries), rope.ordered(keys)
        projection = _tensor(layer.projection()) if needs.may_use_wov_norm or needs.wo_gram else None
        gram = wo_gram(projection, keys.shape[-1]) if projection is not None and needs.wo_gram else None
        q, k, v = None if queries is None else _floats(queries), _floats(keys), _floats(values)
        config = module.config.get_text_config()
        found = []
        for sequence in range(keys.shape[0]):
            given = LayerInput(
                layer=module.layer_idx,
                num_layers=config.num_hidden_layers,
                query_heads=config.num_attention_heads if q is None else q.shape[1],
                q=None if q is None else q[sequence],
                k=k[sequence],
                v=v[sequence],
                first_query=first,
                rope_inv_freq=None if rope is None else rope.frequencies.float().cpu().numpy(),
                rope_scale=1.0 if rope is None else rope.factor,
                softmax_scale=layer.scale or 1.0,  # unknown where no column asks
                sliding_window=layer.window,
                wov_norm=wov_l1(projection, _tensor(values[sequence]))
                if projection is not None and needs.may_use_wov_norm
                else None,
                wo_gram=gram,
                reconstruction=self._second_pass.of(layer, sequence) if needs.reconstruction else {},
                positions=None if left is None else left.positions[sequence].cpu().numpy().astype(np.uint32),
                seen=0 if left is None else left.seen,
            )
            found.append(given)
        return found


def _tensor(tensor: Tensor) -> Tensor:
    return tensor.detach().float().cpu()


def _floats(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = _tensor(tensor).numpy()
    return array

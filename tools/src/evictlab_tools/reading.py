"""One run of a model over a document: what its attention used, each layer proven on this very run, and its logits."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.attention import WHAT_WORKS, LayerAttention, Recorder, projection_of, recorders, recording, refusal
from evictlab_tools.checks import arguments_of, prove, prove_caches
from evictlab_tools.errors import ToolError
from evictlab_tools.prefill import Prefill, tokens_of
from evictlab_tools.rope import WATCHED, tolerance, watch_rotary

Show = Callable[[int, LayerAttention], None]
TRIED = 32  # tokens on which a run with a cache must say what one without says


@dataclass(frozen=True)
class Reading:
    layers: dict[int, LayerAttention]  # with RoPE
    logits: Tensor  # [kept][vocabulary], of the last tokens


def watch(model: torch.nn.Module, ids: Sequence[int]) -> None:
    """Prepares a model for readings, once; before threads share it. ToolError where its cache changes what it says."""
    if WATCHED in vars(model):
        return
    watch_rotary(model, _note_frequencies)
    for part in list(model.modules()):
        if getattr(part, "layer_idx", None) is None:
            continue
        part.register_forward_hook(_prove, with_kwargs=True)
        if (projection := projection_of(part)) is not None:
            projection.register_forward_pre_hook(_noting_input(part))
    _check_cache(model, ids[:TRIED])
    setattr(model, WATCHED, True)


def _check_cache(model: torch.nn.Module, ids: Sequence[int]) -> None:
    tokens = tokens_of(model, ids)
    try:
        with torch.no_grad():
            plain, cached = (model(input_ids=tokens, use_cache=use).logits[0] for use in (False, True))
    except ToolError:
        raise
    except Exception as error:
        raise ToolError(
            f"{type(model).__name__} could not be run with and without a KV cache ({type(error).__name__}: {error}), "
            f"so what its attention reads was not proved; {WHAT_WORKS}"
        ) from error
    if not agree(cached.float(), plain.float(), plain.dtype):
        raise ToolError(
            f"{type(model).__name__} says something else with a KV cache than without, as models do whose layers share "
            f"caches, so what its attention reads was not proved; {WHAT_WORKS}"
        )


def agree(a: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Whether logits are the same but for rounding, a model's layers over."""
    return bool((a - b).abs().max() <= 10 * tolerance(dtype) * b.abs().max())


def _note_frequencies(frequencies: list[Tensor]) -> None:
    for recorder in recorders():
        recorder.frequencies += frequencies


def _calls_of(module: torch.nn.Module) -> Iterator[tuple[Recorder, int, LayerAttention]]:
    """What readings under way hold of the module's attention, until it is proven."""
    layer: Any = module.layer_idx
    for recorder in recorders():
        attention = recorder.layers.get(layer)
        if attention is not None and attention.module is module and attention.call is not None:
            yield recorder, int(layer), attention


def _noting_input(module: torch.nn.Module) -> Any:
    def note(projection: torch.nn.Module, args: tuple[Any, ...]) -> None:
        for _, _, attention in _calls_of(module):
            attention.projected = args[0].reshape(-1, args[0].shape[-1]).float()

    return note


def _prove(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
    for recorder, number, attention in _calls_of(module):
        prove(number, attention, arguments_of(module, args, kwargs), recorder.frequencies)
        attention.output = attention.output.new_empty(0, attention.output.shape[1])
        if recorder.take is not None:
            recorder.take(number, attention)
        elif recorder.show is not None:
            _show_queries(number, attention, recorder.show)


def _show_queries(number: int, attention: LayerAttention, show: Show) -> None:
    show(number, attention)
    attention.q = attention.k.new_empty(attention.q.shape[0], 0, attention.q.shape[2])


def read(
    model: torch.nn.Module,
    ids: Sequence[int],
    wanted: Sequence[int] | None,
    logits: int = 1,
    step: int | None = None,
    *,
    show: Show | None = None,
) -> Reading:
    """Runs the tokens once. `wanted`: layers, None for all; `logits`: of how many of the last tokens; `step`: how many
    tokens at a time, None for all. `show` is shown each layer once it is proven, and has its queries alone: then they
    are held for one layer at a time."""
    watch(model, ids)
    if step is not None and step < len(ids):
        layers, said = Prefill(model, ids, wanted, step).run(logits)
        for layer, attention in layers.items():
            if show is not None:
                _show_queries(layer, attention, show)
    else:
        with recording(wanted, keep_calls=True, show=show) as recorder, torch.no_grad():
            output = model(input_ids=tokens_of(model, ids), use_cache=False, logits_to_keep=logits)
        layers, said = recorder.layers, output.logits[0][-logits:]
    for layer in [] if wanted is None else wanted:
        if layer not in layers:
            raise refusal(
                layer,
                None,
                "was not seen: it has no attention, or an attention that does not go through transformers' registry of "
                "attention functions (ALL_ATTENTION_FUNCTIONS), and --layers of evictlab-capture can leave it out",
            )
    for layer, attention in layers.items():
        if attention.rope is None:
            raise refusal(layer, attention.module, "its attention runs outside of its forward, so it was not proved")
    prove_caches(layers)
    return Reading(layers, said.cpu() if said.device.type == "mps" else said)  # has no double precision

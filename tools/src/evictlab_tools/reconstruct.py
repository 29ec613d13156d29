"""The second pass of KVzip, KVzip+ and KVgrad: the model reads its whole cache while it is told to repeat the context.

The context goes chunk by chunk. To each an instruction is fed, what stands behind a user's text, and the chunk itself,
at the positions behind the prompt; they see the whole cache. How much of a fed token's attention a cached token gets is
taken over the first tokens of the cache, the chunk and what was fed alone. Rules as in kvpress 0.5.5 (KVzipPress,
KVgradPress), after Kim et al., KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction, 2025.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from evictlab_tools.attention import LayerAttention, output_projection, refusal
from evictlab_tools.checks import arguments_of
from evictlab_tools.errors import ToolError
from evictlab_tools.masked import PromptLayer, prompt_layer, read_on

KINDS = ("plain", "plus", "grad")  # of KVzip, KVzip+ and KVgrad
CHUNK = 2048  # tokens of the context that KVzip and KVzip+ repeat at a time
GRADIENT_CHUNK = 512  # KVgrad
SINKS = 4  # first tokens of the cache that every chunk's softmax sees
REPEATED = 8  # last tokens of the chunk before, in a later chunk's instruction
ROWS = 256  # fed tokens at a time
FIRST_INSTRUCTION = "\n\nRepeat the previous context exactly."
LATER_INSTRUCTION = "\n\nRepeat the part of the previous context exactly, starting with"
SEPARATOR = "\n"  # behind a text that no chat template is around


@dataclass(frozen=True)
class Instructions:
    """Tokens around the chunks, and of the prompt's first ones how many are a template's, which get no score."""

    separator: tuple[int, ...]
    first: tuple[int, ...]
    later: tuple[int, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Chunk:
    """Positions [first, past) of the prompt, and the tokens that are fed for it."""

    first: int
    past: int
    fed: tuple[int, ...]


def instructions(
    encode_alone: Callable[[str], list[int]], separator: str = SEPARATOR, skipped: int = 0
) -> Instructions:
    """`encode_alone` gives a text's tokens without special ones."""
    behind, first, later = (tuple(encode_alone(text)) for text in (separator, FIRST_INSTRUCTION, LATER_INSTRUCTION))
    return Instructions(behind, first, later, skipped)


def chunks(prompt: Sequence[int], told: Instructions, size: int) -> list[Chunk]:
    found = []
    for first in range(told.skipped, len(prompt), size):
        past = min(first + size, len(prompt))
        instruction = told.first
        if first > told.skipped:
            instruction = (*told.later, *prompt[max(first - size, first - REPEATED) : first])
        found.append(Chunk(first, past, (*instruction, *told.separator, *prompt[first:past])))
    return found


@dataclass(frozen=True)
class Weights:
    """What the attention [H_q][R][c] of a chunk is multiplied by; None: 1."""

    of_fed: Tensor | None = None  # [R]
    of_cached: Tensor | None = None  # [H_q][c]


@torch.no_grad()
def strongest(
    q: Tensor, k: Tensor, cached: Tensor, chunk: tuple[int, int], scale: float, window: int, wanted: Sequence[Weights]
) -> Tensor:
    """[wanted][H_kv][c]: of each token of the chunk, the maximum over fed tokens and heads of its weighted attention.

    Of R fed tokens q [H_q][R][d] and k [H_kv][R][d], of the cache keys [H_kv][n][d].
    """
    (heads, fed, dim), (kv_heads, prompt, _), (first, past) = q.shape, cached.shape, chunk
    group, sinks, length = heads // kv_heads, min(SINKS, first), past - first
    keys = torch.cat((cached[:, :sinks].float(), cached[:, first:past].float(), k), 1).transpose(1, 2)
    at = torch.arange(prompt + fed, device=q.device)
    places = torch.cat((at[:sinks], at[first:past], at[prompt:]))
    found = torch.zeros(len(wanted), kv_heads, length, device=q.device)
    for start in range(0, fed, ROWS):
        rows = slice(start, min(start + ROWS, fed))
        age = at[prompt:][rows, None] - places
        hidden = (age < 0) | (age >= window) if window > 0 else age < 0
        logits = scale * (q[:, rows].reshape(kv_heads, -1, dim) @ keys)
        logits = logits.reshape(kv_heads, group, -1, len(places)).masked_fill_(hidden, float("-inf"))
        attention = logits.softmax(-1)[..., sinks : sinks + length]
        for number, weights in enumerate(wanted):
            weighted = attention
            if weights.of_cached is not None:
                weighted = weighted * weights.of_cached.reshape(kv_heads, group, 1, length)
            if weights.of_fed is not None:
                weighted = weighted * weights.of_fed[rows, None]
            found[number] = torch.maximum(found[number], weighted.amax((1, 2)))
    return found


@torch.no_grad()
def output_norms(projection: Tensor, values: Tensor) -> Tensor:
    """||W_o[h] v[j]||_2, [H_q][N], of W_o [hidden][H_q * d] and values [H_kv][N][d]."""
    dim = values.shape[-1]
    heads = projection.shape[1] // dim
    group = heads // values.shape[0]
    return torch.stack(
        [(values[h // group] @ projection[:, h * dim : (h + 1) * dim].T).norm(dim=-1) for h in range(heads)]
    )


@dataclass(eq=False)
class _Pass:
    """Of one chunk: what the hooks on attention modules and on the last layer see."""

    added: dict[int, Tensor] = field(default_factory=dict)  # by layer, to the attention's output: for its gradient
    inputs: dict[int, Tensor] = field(default_factory=dict)  # by layer, norms [R]
    last: Tensor | None = None


_under_way: ContextVar[_Pass | None] = ContextVar("under_way", default=None)  # each thread's own: models are shared


@contextmanager
def _watched(modules: Mapping[int, torch.nn.Module], last: torch.nn.Module | None) -> Iterator[_Pass]:
    """Notes what goes through the modules in this thread; with the last layer, so that gradients may be taken."""
    seen = _Pass()

    def note_input(number: int) -> Any:
        def note(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if _under_way.get() is seen:
                given = next(iter(arguments_of(module, args, kwargs).values()))
                seen.inputs[number] = given.detach()[0].float().norm(dim=-1)

        return note

    def add_leaf(number: int) -> Any:
        def add(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            if _under_way.get() is not seen:
                return output
            whole = output if isinstance(output, tuple) else (output,)
            seen.added[number] = torch.zeros_like(whole[0], requires_grad=True)
            changed = (whole[0] + seen.added[number], *whole[1:])
            return changed if isinstance(output, tuple) else changed[0]

        return add

    def note_last(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if _under_way.get() is seen:
            seen.last = output[0] if isinstance(output, tuple) else output

    hooks = [module.register_forward_pre_hook(note_input(n), with_kwargs=True) for n, module in modules.items()]
    if last is not None:
        hooks += [module.register_forward_hook(add_leaf(number)) for number, module in modules.items()]
        hooks.append(last.register_forward_hook(note_last))
    token = _under_way.set(seen)
    try:
        yield seen
    finally:
        _under_way.reset(token)
        for hook in hooks:
            hook.remove()


def last_layer(model: torch.nn.Module, modules: Mapping[int, torch.nn.Module]) -> torch.nn.Module:
    """Of the model's list of decoder layers, each of which has the attention module of its number."""
    for part in model.modules():
        if (
            isinstance(part, torch.nn.ModuleList)
            and len(part) == len(modules)
            and all(modules.get(number) in set(layer.modules()) for number, layer in enumerate(part))
        ):
            return part[-1]
    raise ToolError(
        f"{type(model).__name__}: its layers are not one list, each with one attention, so what comes out of the last "
        "one, which KVgrad's score is by, is not known; KVzip and KVzip+ do without"
    )


@dataclass
class Replay:
    """A model and a prompt's cache, of all its layers; what of the layers in `wanted` is asked for."""

    model: torch.nn.Module
    prompt: Sequence[int]
    layers: Mapping[int, LayerAttention]
    wanted: Sequence[int]
    told: Instructions
    kinds: tuple[str, ...] = KINDS

    def run(self) -> dict[int, Tensor]:
        """By layer [kinds][H_kv][n]; 0 below `told.skipped`."""
        self.cached = {number: prompt_layer(layer, len(self.prompt)) for number, layer in self.layers.items()}
        self.found = {}
        for number in self.wanted:
            k = self.cached[number].k
            self.found[number] = torch.zeros(len(self.kinds), *k.shape[:2], device=k.device)
        without = tuple(kind for kind in self.kinds if kind != "grad")
        plain = chunks(self.prompt, self.told, CHUNK) if without else []
        graded = chunks(self.prompt, self.told, GRADIENT_CHUNK) if "grad" in self.kinds else []
        if plain == graded:
            plain, without = [], self.kinds
        for chunk in plain:
            self._read_on(chunk, without)
        for chunk in graded:
            self._read_back(chunk, without if without == self.kinds else ("grad",))
        for number, found in self.found.items():
            if not bool(found.isfinite().all()):
                raise refusal(number, self.layers[number].module, "the second pass gave scores that are not finite")
        return self.found

    @property
    def _modules(self) -> dict[int, torch.nn.Module]:
        return {number: layer.module for number, layer in self.layers.items()}

    def _read_on(self, chunk: Chunk, kinds: Sequence[str]) -> None:
        def take(number: int, q: Tensor, k: Tensor) -> None:
            if number in self.found:
                self._score(number, chunk, q, k, kinds, seen)

        with torch.no_grad(), _watched(self._modules, None) as seen:
            read_on(self.model, chunk.fed, self.cached, take)

    def _read_back(self, chunk: Chunk, kinds: Sequence[str]) -> None:
        used: dict[int, tuple[Tensor, Tensor]] = {}

        def keep(number: int, q: Tensor, k: Tensor) -> None:
            if number in self.found:
                used[number] = q, k

        with torch.enable_grad(), _watched(self._modules, last_layer(self.model, self._modules)) as seen:
            read_on(self.model, chunk.fed, self.cached, keep)
            assert seen.last is not None
            total = seen.last.float().square().sum()
        gradients = torch.autograd.grad(total, [seen.added[number] for number in self.wanted])
        for number, gradient in zip(self.wanted, gradients, strict=True):
            self._score(number, chunk, *used[number], kinds, seen, gradient[0].float().norm(dim=-1))

    def _score(
        self,
        number: int,
        chunk: Chunk,
        q: Tensor,
        k: Tensor,
        kinds: Sequence[str],
        seen: _Pass,
        gradient: Tensor | None = None,
    ) -> None:
        layer, of_prompt = self.layers[number], self.cached[number]
        norms = self._norms(number, of_prompt, chunk) if set(kinds) != {"plain"} else None
        weights = {
            "plain": Weights(),
            "plus": Weights(1 / seen.inputs[number], norms),
            "grad": Weights(gradient, norms),
        }
        part = (chunk.first, chunk.past)
        found = strongest(q, k, of_prompt.k, part, layer.scale, layer.window, [weights[kind] for kind in kinds])
        for kind, scores in zip(kinds, found, strict=True):
            self.found[number][self.kinds.index(kind), :, chunk.first : chunk.past] = scores

    def _norms(self, number: int, of_prompt: PromptLayer, chunk: Chunk) -> Tensor:
        projection = output_projection(number, self.layers[number])
        return output_norms(projection, of_prompt.v[:, chunk.first : chunk.past].float())

"""Kept sets of one prompt as caches that grow: a model reads on behind each of them, and goes on by itself.

Only the kept keys and values are held. Positions stay the true ones, and of what follows the prompt all is kept.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from evictlab_tools.masked import PromptLayer, attending
from evictlab_tools.prefill import tokens_of

SETS, BYTES = 16, 2**29  # that run as one batch: at most so many sets, whose whole caches would be no larger

Finished = Callable[[Sequence[int]], bool]


def sets_at_once(layers: Mapping[int, PromptLayer]) -> int:
    whole = sum(2 * layer.k.numel() * layer.k.element_size() for layer in layers.values())
    return max(1, min(SETS, BYTES // whole))


class _Cache:
    """One kept set in one layer, with room for what follows the prompt."""

    def __init__(self, layer: PromptLayer, kept: Tensor, room: int) -> None:
        kv_heads, prompt, dim = layer.k.shape
        kept, device = kept.to(layer.k.device), layer.k.device
        counts = kept.sum(-1)
        self.most, self.window, self.scale = int(counts.max()), layer.window, layer.scale
        places = torch.argsort(kept.byte(), dim=-1, descending=True, stable=True)[:, : self.most]
        index = places[:, :, None].expand(-1, -1, dim)
        behind = torch.empty((kv_heads, room, dim), device=device)
        self.keys = torch.cat((layer.k.gather(1, index).float(), behind), 1)
        self.values = torch.cat((layer.v.gather(1, index).float(), behind), 1)
        self.uneven = int(counts.min()) < self.most
        follow = torch.arange(prompt, prompt + room, device=device).expand(kv_heads, -1)
        self.positions = torch.cat((places, follow), 1)
        cached = torch.arange(self.most, device=device) < counts[:, None]
        self.there = torch.cat((cached, torch.ones_like(follow, dtype=torch.bool)), 1)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, before: int) -> Tensor:
        """Adds k and v [H_kv][m][d] behind `before` tokens that follow the prompt: of q [H_q][m][d], the same."""
        heads, tokens, dim = q.shape
        kv_heads = k.shape[0]
        first = self.most + before
        end = first + tokens
        self.keys[:, first:end], self.values[:, first:end] = k, v
        group = heads // kv_heads
        output = functional.scaled_dot_product_attention(
            q.reshape(1, kv_heads, group * tokens, dim),
            self.keys[None, :, :end],
            self.values[None, :, :end],
            attn_mask=self._mask(first, end, group),
            scale=self.scale,
        )
        return output.reshape(heads, tokens, dim)

    def _mask(self, first: int, end: int, group: int) -> Tensor | None:
        """[1][H_kv][group * m][end]; None: each query sees all."""
        if end - first == 1 and not self.uneven and self.window == 0:
            return None
        position = self.positions[:, :end]
        age = position[:, first:end, None] - position[:, None, :]
        seen = (age >= 0) & self.there[:, None, :end]
        if self.window > 0:
            seen &= age < self.window
        return seen.repeat(1, group, 1)[None]


class _Caches:
    """All layers of all kept sets; those of `rows` run, and have read so many tokens behind the prompt."""

    def __init__(self, layers: Mapping[int, PromptLayer], kept: Sequence[Sequence[Tensor]], room: int) -> None:
        self._layers = {n: [_Cache(layer, of_set[n], room) for of_set in kept] for n, layer in layers.items()}
        self.rows = list(range(len(kept)))
        self.read = [0] * len(kept)

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        caches = self._layers[number]
        return torch.stack([caches[row].attend(q[b], k[b], v[b], self.read[row]) for b, row in enumerate(self.rows)])

    def run(self, model: torch.nn.Module, tokens: Sequence[Sequence[int]], prompt: int, logits: int) -> Tensor:
        """Logits [rows][logits][vocabulary] of the last of tokens [rows][m]."""
        count = len(tokens[0])
        given = torch.cat([tokens_of(model, of_row) for of_row in tokens])
        first = torch.tensor([prompt + self.read[row] for row in self.rows], device=given.device)
        positions = first[:, None] + torch.arange(count, device=given.device)
        with attending(self):
            output = model(input_ids=given, position_ids=positions, use_cache=False, logits_to_keep=logits)
        for row in self.rows:
            self.read[row] += count
        found: Tensor = output.logits[:, -logits:]
        return found


@dataclass(frozen=True)
class Answer:
    logits: Tensor  # [a][vocabulary], of the a tokens of the right answer, each behind the right ones before it
    tokens: tuple[int, ...]  # the model's own, each the likeliest behind the ones before


@torch.inference_mode()
def answer(
    model: torch.nn.Module,
    ids: Sequence[int],
    prompt: int,
    fed: int,
    layers: Mapping[int, PromptLayer],
    kept: Sequence[Sequence[Tensor]],
    longest: int,
    finished: Finished,
) -> list[Answer]:
    """Behind each kept set of the prompt, which ids[prompt:fed] follow: what the model makes of the right answer
    ids[fed:], and its own answer, until that is `finished` or has `longest` tokens. The model was loaded with
    masked.ATTENTION.

    The right answer runs first, and as far as the model's own is the same it need not run again.
    """
    right = list(ids[fed:])
    caches = _Caches(layers, kept, fed - prompt + max(longest, len(right)))
    forced = caches.run(model, [ids[prompt:-1]] * len(kept), prompt, len(right))

    def over(tokens: Sequence[int]) -> bool:
        return len(tokens) >= longest or finished(tokens)

    made = [_beginning(likeliest, right, over) for likeliest in forced.argmax(-1).tolist()]
    caches.read = [fed - prompt + len(tokens) - 1 for tokens in made]
    while rows := [row for row, tokens in enumerate(made) if not over(tokens)]:
        caches.rows = rows
        logits = caches.run(model, [[made[row][-1]] for row in rows], prompt, 1)
        for row, token in zip(rows, logits[:, -1].argmax(-1).tolist(), strict=True):
            made[row].append(token)
    return [Answer(logits, tuple(tokens)) for logits, tokens in zip(forced, made, strict=True)]


def _beginning(likeliest: Sequence[int], right: Sequence[int], over: Finished) -> list[int]:
    """Of the model's own answer what is known from its predictions behind the right tokens: up to the first other."""
    made: list[int] = []
    for own, other in zip(likeliest, right, strict=True):
        made.append(own)
        if own != other or over(made):
            break
    return made

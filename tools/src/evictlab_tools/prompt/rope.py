"""RoPE as a layer applies it, found on the layer itself: for columns that turn queries to other positions."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from evictlab_tools.prompt.layer import Layer
from evictlab_tools.prompt.question import alike
from evictlab_tools.prompt.rotation import Rope, rotations, turn
from evictlab_tools.prompt.seen import EXACT


# Exported presses hold what follows.
def frequencies_of(layer: Layer) -> Iterator[tuple[Tensor, float]]:
    """The rotary embedding's frequencies that give the layer's cosines, and the factor on these; the best first."""
    rotation = layer.kwargs.get("position_embeddings")
    if rotation is None or isinstance(rotation, Tensor) or rotation[0].is_complex():
        return
    place = layer.prompt_place
    cos, sin = (part[0, place : place + layer.tokens].to(EXACT) for part in rotation)
    factor = float((cos.square() + sin.square()).mean().sqrt())
    at = layer.start + torch.arange(layer.tokens, device=cos.device, dtype=EXACT)
    found: list[tuple[float, int, Tensor]] = []
    for name, buffer in layer.module.rotary_emb.named_buffers():
        if not name.endswith("inv_freq"):
            continue
        frequencies = buffer.flatten().to(EXACT)
        expected = (at[:, None] * frequencies).cos() * factor
        for spread in (torch.cat((expected, expected), -1), expected.repeat_interleave(2, -1), expected):
            if spread.shape == cos.shape and (off := float((spread - cos).abs().max())) < 0.02 * factor:
                found.append((off, len(found), frequencies))  # 0.02: of cosines in bfloat16
    for _, _, frequencies in sorted(found, key=lambda each: each[:2]):
        yield frequencies, factor


def candidates(layer: Layer, channels: int) -> Iterator[Rope]:
    for frequencies, factor in frequencies_of(layer):
        if 2 * len(frequencies) == channels or abs(factor - 1) <= 0.01:  # the factor would be on all channels
            yield from rotations(frequencies, channels, factor, last=True)
    if layer.kwargs.get("position_embeddings") is not None:  # and makes no use of them
        yield Rope(torch.zeros(channels // 2, dtype=EXACT, device=layer.keys.device))


def found_rope(layer: Layer) -> Rope:
    """Refused where positions change the queries in another way than such rotations."""
    if (known := layer.known.get("rope")) is not None:
        rope: Rope = known
        return rope
    where = slice(max(0, layer.tokens - 16), layer.tokens)
    after, before = layer.queries(where), layer.queries(where, turned=False)
    at = layer.start + torch.arange(where.start, where.stop, device=after.device, dtype=EXACT)
    if torch.equal(after, layer.queries(where, later=100_000)):
        for rope in candidates(layer, after.shape[-1]):
            turned = turn(rope.ordered(before).to(EXACT), at[:, None] * rope.frequencies, rope.factor)
            if alike(turned, rope.ordered(after)):
                layer.known["rope"] = rope
                return rope
    raise layer.refuse(
        "its queries are not rotations of pairs of channels by the frequencies of its rotary embedding, so they cannot "
        "be turned to other positions",
        "scorers without expected_attn, replayed_attn, capacity and key_leverage work",
    )

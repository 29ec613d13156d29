"""What is left of a prompt's cache, in which a model goes on at the true positions."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache


# Exported presses hold what follows.
class CompressedCache(DynamicCache):  # type: ignore[misc]
    """A cache of which tokens were removed, in which a model goes on at the true positions.

    get_seq_length() counts the tokens that were seen, from which models take positions; of a layer, its rows.
    """

    removed: dict[int, int]  # by layer
    kinds: tuple[str, ...]  # of the model's layers, where its configuration tells them apart

    @property
    def is_sliding(self) -> list[bool]:
        """By layer, also where this cache lets none roll: models size their masks by the first of each kind."""
        if len(set(self.kinds)) < 2:
            return [bool(layer.is_sliding) for layer in self.layers]
        return [kind.startswith(("sliding", "chunked")) for kind in self.kinds[: len(self.layers)]]

    def get_seq_length(self, layer_idx: int | None = None) -> int:
        rows = int(super().get_seq_length(layer_idx or 0))
        return rows + self.removed.get(0, 0) if layer_idx is None else rows

    def get_mask_sizes(self, cache_position: Tensor, layer_idx: int) -> tuple[int, int]:
        length, offset = super().get_mask_sizes(cache_position, layer_idx)
        if hasattr(self.layers[layer_idx], "cumulative_length"):  # counts positions itself
            return length, offset
        return length, int(cache_position[0]) - (length - cache_position.shape[0])

    def crop(self, max_length: int) -> None:
        for number, layer in enumerate(self.layers):
            layer.crop(max_length if max_length < 0 else max(0, max_length - self.removed.get(number, 0)))


def note_removed(cache: Any, module: Any, seen: int) -> None:
    """Of the module's layer, of which so many tokens were seen, what its rows do not hold any more."""
    removed = seen - cache.layers[module.layer_idx].keys.shape[2]
    if type(cache) is DynamicCache and removed > 0:
        cache.__class__ = CompressedCache  # the caller holds this very object, and goes on with it
        cache.removed = {}
        cache.kinds = tuple(map(str, getattr(module.config, "layer_types", None) or ()))
    if hasattr(cache, "removed"):
        cache.removed[module.layer_idx] = removed

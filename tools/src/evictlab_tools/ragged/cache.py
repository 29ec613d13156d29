"""RaggedCache: a DynamicCache whose heads hold tokens of their own."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from evictlab_tools.errors import ToolError
from evictlab_tools.ragged.layer import Kept, RaggedLayer


class RaggedCache(DynamicCache):  # type: ignore[misc]
    """What is left of a prompt's cache when each KV head keeps its own tokens; evicted ones hold no memory.

    Models go on in it at the true positions, by generate() too, with sdpa (or flash) attention. Layers of which nothing
    was evicted stay as they were.
    """

    @staticmethod
    def of(cache: DynamicCache, kept: Mapping[int, Kept] | Sequence[Kept | None]) -> RaggedCache:
        """By layer what stays (None, or no entry: all) of a whole prompt's cache, which is left as it is.

        Kept sets are bool [H_kv][n], [B][H_kv][n] of several sequences, or the positions that each head keeps.
        """
        if type(cache) is not DynamicCache:
            raise ToolError(f"a ragged cache is made of a prompt's DynamicCache, not of a {type(cache).__name__}")
        found = RaggedCache()
        found.layers = [copy(layer) for layer in cache.layers]
        for layer, of_layer in kept.items() if isinstance(kept, Mapping) else enumerate(kept):
            if of_layer is not None:
                RaggedCache.take_over(found, layer, of_layer)
        return found

    @staticmethod
    def take_over(cache: DynamicCache, layer: int, kept: Kept) -> None:
        """Turns a cache that a caller goes on with into a ragged one, by a layer that holds its prompt whole."""
        if type(cache) not in (DynamicCache, RaggedCache) or cache.offloading:
            raise ToolError(
                f"only a DynamicCache on the model's device can become ragged, and this one is {type(cache).__name__}"
                f"{' with offloading' if cache.offloading else ''}: run the prompt with past_key_values=DynamicCache()"
            )
        cache.layers[layer] = RaggedLayer.of(cache.layers[layer], kept)
        cache.__class__ = RaggedCache

    @property
    def ragged(self) -> dict[int, RaggedLayer]:
        """By number, the layers that evicted."""
        return {number: layer for number, layer in enumerate(self.layers) if isinstance(layer, RaggedLayer)}

    def evict(self, kept: Mapping[int, Kept]) -> None:
        """Keeps, of what these layers hold, what is named, by positions; the memory of the rest is free at once."""
        for number, of_layer in kept.items():
            layer = self.layers[number]
            if isinstance(layer, RaggedLayer):
                layer.evict(of_layer)
            else:
                RaggedCache.take_over(self, number, of_layer)

    def positions(self, layer: int, head: int, sequence: int = 0) -> Tensor:
        """Of the tokens that a head of a layer in `ragged` holds, places in the text, oldest first."""
        return self.ragged[layer].head(head, sequence)[2]

    def cells(self) -> int:
        """Tokens that are held, over all sequences, layers and KV heads."""
        return sum(
            sum(map(sum, layer.counts)) if isinstance(layer, RaggedLayer) else layer.keys[..., 0].numel()
            for layer in self.layers
        )

    @property
    def nbytes(self) -> int:
        """Allocated, the room for coming tokens and their positions included."""
        return sum(bytes_of(layer) for layer in self.layers)


def bytes_of(layer: RaggedLayer | DynamicLayer) -> int:
    if isinstance(layer, RaggedLayer):
        return layer.nbytes
    return sum(int(tensor.untyped_storage().nbytes()) for tensor in (layer.keys, layer.values))

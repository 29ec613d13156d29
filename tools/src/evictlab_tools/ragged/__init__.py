"""A KV cache of which each head holds its own tokens, and no memory for others: docs/memory.md."""
# SPDX-License-Identifier: MIT

from evictlab_tools.ragged.cache import RaggedCache
from evictlab_tools.ragged.layer import RaggedLayer

__all__ = ["RaggedCache", "RaggedLayer"]

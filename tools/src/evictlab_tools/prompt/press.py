"""PromptScorer: what presses have in common that ask the attention itself."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import warnings
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from kvpress import ScorerPress
from kvpress.presses.base_press import is_prefilling
from torch import Tensor

from evictlab_tools.prompt.cache import note_removed
from evictlab_tools.prompt.layer import WORKS, Layer
from evictlab_tools.prompt.question import Refused

# Exported presses hold what follows.
IN_OWN_HOOK: ContextVar[bool] = ContextVar("in_own_hook", default=False)


@dataclass
class PromptScorer(ScorerPress):  # type: ignore[misc]
    """Scores whole prompts, and leaves layers with a sliding window alone."""

    def post_init_from_model(self, model: Any) -> None:
        inner = getattr(model, "model", None)
        inner = getattr(inner, "language_model", inner)
        layers = getattr(inner, "layers", ())
        if not layers or not hasattr(inner, "rotary_emb") or not all(hasattr(each, "self_attn") for each in layers):
            raise Refused(
                f"{type(model).__name__}: kvpress needs an attention in every layer, model.model.layers[i].self_attn, "
                f"and one rotary embedding, model.model.rotary_emb, and this model has not both; {WORKS}"
            )

    def layer(self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, kwargs: dict[str, Any]) -> Layer:
        layer = Layer(module, hidden_states, keys, values, kwargs)
        if layer.left_alone and not IN_OWN_HOOK.get():
            raise layer.refuse(
                f"it has a sliding window of {layer.window} tokens, and such layers are to be left alone, which the "
                "press around this one does not",
                "this press works without another one around it, and so do models without such layers",
            )
        return layer

    def tell_of_windows(self, module: Any) -> None:
        if not any(str(kind).startswith("full") for kind in getattr(module.config, "layer_types", None) or ()):
            warnings.warn(
                f"{type(module).__name__}: every layer has a sliding window, and such layers are left alone, so "
                f"{type(self).__name__} evicts nothing",
                stacklevel=2,
            )

    def forward_hook(self, module: Any, input: list[Tensor], kwargs: dict[str, Any], output: Any) -> Any:
        cache = kwargs.get("past_key_values")
        if cache is None or kwargs.get("hidden_states") is None or kwargs.get("cache_position") is None:
            raise Refused(
                f"{type(module).__name__} was not given hidden states, cache_position and a cache by name, as kvpress "
                f"needs it; models as Llama work, run with past_key_values=DynamicCache()"
            )
        held = cache.layers[module.layer_idx]
        if not is_prefilling(kwargs["cache_position"], kwargs["hidden_states"].shape[1]):
            return output
        if getattr(held, "is_sliding", False):  # rolls
            self.tell_of_windows(module)
            return output
        own = IN_OWN_HOOK.set(True)
        try:
            output = super().forward_hook(module, input, kwargs, output)
        finally:
            IN_OWN_HOOK.reset(own)
        note_removed(cache, module, kwargs["hidden_states"].shape[1])
        return output

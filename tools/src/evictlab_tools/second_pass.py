"""The second pass over a prompt that a press has: in the model of the caller, when its context ends."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from kvpress.presses.base_press import is_prefilling
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from evictlab_tools.attention import LayerAttention
from evictlab_tools.masked import ATTENTION
from evictlab_tools.models import wrap_tokenizer
from evictlab_tools.prompt.layer import Layer
from evictlab_tools.prompt.question import Refused
from evictlab_tools.reconstruct import SEPARATOR, Instructions, Replay, instructions

Held = tuple[Any, dict[str, Any], Any]  # an attention module, what its forward was given and gave

WORKS = "a prompt that is run once, whole, with past_key_values=DynamicCache(), and generation after the context work"


@dataclass
class SecondPass:
    """Awaits the prompt, reads it again, and knows the result until all layers have been cut by it."""

    kinds: tuple[str, ...]
    _model: Any = None
    _tokenizer: Any = None
    _ids: Tensor | None = None  # [batch][n]
    _held: list[Held] = field(default_factory=list)
    _found: list[dict[int, Tensor]] = field(default_factory=list)  # of each sequence, by layer: [kinds][H_kv][n]

    @contextmanager
    def awaited(self, model: Any, tokenizer: Any) -> Iterator[None]:
        """While the prompt is run."""
        self._forget()
        self._model, self._tokenizer = model, tokenizer

        def note(module: Any, args: Sequence[Tensor]) -> None:
            if self._ids is None and not self._found:
                self._ids = args[0]

        hook = model.get_input_embeddings().register_forward_pre_hook(note)
        try:
            yield
        finally:
            hook.remove()
            self._forget()

    def _forget(self) -> None:
        self._model = self._tokenizer = self._ids = None
        self._held, self._found = [], []

    def hold(self, module: Any, kwargs: dict[str, Any], output: Any) -> bool:
        """Whether the layer is to be cut later."""
        if self._model is None:
            return False
        if is_prefilling(kwargs["cache_position"], kwargs["hidden_states"].shape[1]):
            self._held.append((module, kwargs, output))
        return True

    def run(self) -> list[Held]:
        """Reads the prompt again, after which the layers that are given can be cut."""
        model, held = self._model, self._held
        if self._ids is None or not held:
            return []
        with torch.inference_mode(False):
            layers = [self._layer(*one[:2]) for one in held]
            for sequence in range(self._ids.shape[0]):
                self._found.append(self._replayed(model, layers, sequence))
        self._model = None  # from now on the layers are cut
        return held

    def _layer(self, module: Any, kwargs: dict[str, Any]) -> Layer:
        cached = kwargs["past_key_values"].layers[module.layer_idx]
        tokens = kwargs["hidden_states"].shape[1]
        assert self._ids is not None
        if getattr(cached, "is_sliding", False) or cached.keys is None or cached.keys.shape[2] != tokens:
            raise Refused(
                f"layer {module.layer_idx} ({type(module).__name__}): a second pass reads the whole cache of the "
                f"prompt, and this one has something else; {WORKS}"
            )
        layer = Layer(module, kwargs["hidden_states"], _plain(cached.keys), _plain(cached.values), kwargs)
        layer.prove()
        return layer

    def _replayed(self, model: Any, layers: list[Layer], sequence: int) -> dict[int, Tensor]:
        assert self._ids is not None
        prompt = [int(i) for i in self._ids[sequence]]
        attentions = {layer.module.layer_idx: self._attention(layer, sequence) for layer in layers}
        if len(attentions) < len(layers) or len(prompt) != layers[0].tokens:
            raise Refused(f"{type(model).__name__}: the context had more than one prompt; {WORKS}")
        with _attending_by(ATTENTION, model, layers):
            told = told_by(self._tokenizer_of(model), prompt)
            return Replay(model, prompt, attentions, sorted(attentions), told, self.kinds).run()

    def _attention(self, layer: Layer, sequence: int) -> LayerAttention:
        keys, values = layer.keys[sequence].float(), layer.values[sequence].float()
        heads = layer.call(slice(layer.tokens - 1, layer.tokens)).queries.shape[1]
        nothing = keys.new_empty((heads, 0, keys.shape[-1]))
        if self.kinds != ("plain",):
            layer.projection()
        return LayerAttention(layer.module, nothing, keys, values, nothing, layer.scale, layer.window, projects=True)

    def _tokenizer_of(self, model: Any) -> Any:
        if self._tokenizer is not None:
            return self._tokenizer
        name = model.config.name_or_path
        try:
            return AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise Refused(
                f"{type(model).__name__}: the second pass needs the tokenizer, and there is none of the name {name!r}; "
                "EvictlabPress(..., tokenizer=...) takes one"
            ) from error

    def of(self, layer: Layer, sequence: int) -> dict[str, NDArray[Any]]:
        """By kind, [H_kv][n]."""
        if not self._found:
            raise layer.refuse(
                "its scorer reads a second pass, which EvictlabPress has when its own context ends",
                "the press works without another one around it",
            )
        return dict(zip(self.kinds, self._found[sequence][layer.module.layer_idx].cpu().numpy(), strict=True))


def _plain(tensor: Tensor) -> Tensor:
    """One that gradients may be taken with: not of inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor


@contextmanager
def _attending_by(name: str, model: Any, layers: Sequence[Layer]) -> Iterator[None]:
    configs = {id(config): config for config in (model.config, *(layer.module.config for layer in layers))}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config in configs.values():
            config._attn_implementation = name
        yield
    finally:
        for config, was in before:
            config._attn_implementation = was


def told_by(tokenizer: Any, prompt: Sequence[int]) -> Instructions:
    """As kvpress has it: with the chat template's own tokens where the prompt begins with them."""
    encode = wrap_tokenizer(tokenizer).encode_alone
    if getattr(tokenizer, "chat_template", None) is None:
        return instructions(encode)
    text, mark = "dummy context", "\n#############"
    whole = tokenizer.apply_chat_template(
        [{"role": "user", "content": text + mark}], add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    before, _, behind = whole.partition(text + mark)
    prefix = tokenizer.encode(before, add_special_tokens=False)
    if list(prompt[: len(prefix)]) != list(prefix):
        return instructions(encode, SEPARATOR)
    told = instructions(encode, skipped=len(prefix))
    behind_ids = tuple(tokenizer.encode(behind, add_special_tokens=False))
    return Instructions(behind_ids, told.first, told.later, len(prefix))

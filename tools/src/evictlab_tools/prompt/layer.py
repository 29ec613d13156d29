"""A layer of a prompt: its queries, scale and window as the attention has them, proved on the module itself."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from kvpress.presses.base_press import is_prefilling
from torch import Tensor
from transformers import QuantizedCache

from evictlab_tools.prompt.question import Call, Refused, alike, ask, tell
from evictlab_tools.prompt.seen import EXACT, visible

# Exported presses hold what follows.
PROVING_TOKENS = 64
CHECKED_ROWS = 1024  # of an attention mask at a time
OTHER_TERMS = {"softcap": "soft capping of its logits", "s_aux": "attention sinks", "sinks": "attention sinks"}
PROVED: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # modules that are softmax(scale q k) v, as implemented so
WORKS = "attention as in Llama, Mistral, Qwen, Gemma 3 or Phi-3 works, of which docs/models.md of Evictlab has a table"
WITHOUT_ATTENTION = "scorers without columns of attention work (key_norm, value_norm, key_cos, positions)"
WITHOUT_PROJECTION = "columns other than wov_norm and leave_one_out with :wo work"


def attended(queries: Tensor, keys: Tensor, values: Tensor, scale: float, window: int) -> Tensor:
    """The heads' outputs [B, n, H_q, d], rounded as types that are narrow round."""
    group = queries.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1)
    at = torch.arange(queries.shape[2], device=queries.device)
    logits = (queries @ keys.transpose(-1, -2) * scale).float()
    weights = logits.masked_fill(~visible(at, at, window), float("-inf")).softmax(dim=-1)
    return (weights.to(values.dtype) @ values).transpose(1, 2)


def place_of(part: Tensor, whole: Tensor) -> int | None:
    """Where along the tokens a tensor of hidden states was cut from the prompt's; None: it was not."""
    if part.shape == whole.shape:
        return 0
    if part.untyped_storage().data_ptr() != whole.untyped_storage().data_ptr() or part.stride() != whole.stride():
        return None
    return (part.storage_offset() - whole.storage_offset()) // whole.stride(1)


@dataclass(eq=False)
class Layer:
    """One layer at the end of its prompt of n tokens: B sequences, H_kv KV heads of d channels.

    A press that goes through a prompt in chunks gives each as if it were a prompt, at its own positions.
    """

    module: Any  # the attention
    hidden_states: Tensor  # [B, n, hidden], what the attention was given
    keys: Tensor  # [B, H_kv, n, d], as the attention uses them
    values: Tensor  # [B, H_kv, n, d]
    kwargs: dict[str, Any]  # of the attention's forward() on the whole prompt
    known: dict[Any, Any] = field(default_factory=dict)
    first: int | None = None  # place of the tokens in the prompt; None: these are not neighbours in a prompt
    start: int = 0  # position of the first token
    scale: float = 0.0  # of q k, before the softmax
    window: int = 0  # query i sees keys j with i - j < window; 0: all j <= i

    def __post_init__(self) -> None:
        prompt = self.kwargs["hidden_states"]
        if is_prefilling(self.kwargs["cache_position"], prompt.shape[1]) and self.hidden_states.shape[1] == self.tokens:
            self.first = place_of(self.hidden_states, prompt)
        if self.first is None:
            self.window = self.configured_window()
            return
        options = self.call(slice(self.tokens - 1, self.tokens)).options
        scale = options.get("scaling")
        self.scale = float(self.keys.shape[-1] ** -0.5 if scale is None else scale)
        self.window = self.find_window(options)
        self.start = self.find_start()

    def refuse(self, what: str, works: str) -> Refused:
        return Refused(f"layer {self.module.layer_idx} ({type(self.module).__name__}): {what}; {works}")

    @property
    def tokens(self) -> int:
        return self.keys.shape[2]

    @property
    def prompt_place(self) -> int:
        if self.first is None:
            raise self.refuse(
                f"scores are asked for {self.tokens} keys which are no prompt, nor neighbours in one, so their queries "
                "and positions are not known (BlockPress and DecodingPress ask so, and caches that drop tokens)",
                "columns of keys and values (key_norm, value_norm, key_cos, wov_norm) work there, and all others on a "
                "whole prompt in a DynamicCache",
            )
        return self.first

    @property
    def positions(self) -> Tensor:
        return torch.arange(self.prompt_tokens, dtype=EXACT, device=self.keys.device)

    @property
    def prompt_tokens(self) -> int:
        return self.tokens if self.prompt_place >= 0 else 0

    def in_order(self, vectors: Tensor) -> Tensor:
        """The same, where they are known to stand in the prompt's order."""
        return vectors[:, :, : self.prompt_tokens]

    def number(self, value: float) -> Tensor:
        return torch.full((), value, dtype=EXACT, device=self.keys.device)

    def configured_window(self) -> int:
        """What the model's configuration says, where the attention cannot be asked."""
        config, number = self.module.config, self.module.layer_idx
        kinds = getattr(config, "layer_types", None)
        full = kinds is not None and str(kinds[number]).startswith("full")
        return 0 if full else int(getattr(config, "sliding_window", None) or 0)

    @property
    def left_alone(self) -> bool:
        """Whether nothing is evicted: what a sliding window hides goes by itself, and masks of windows count rows.

        Where all layers have the window it starts to matter when the prompt outgrows it.
        """
        kinds = {str(kind).startswith("full") for kind in getattr(self.module.config, "layer_types", None) or ()}
        return self.window > 0 and (len(kinds) == 2 or int(self.kwargs["cache_position"][-1]) >= self.window)

    def arguments(self, at: Any, turned: bool = True, later: int = 0) -> dict[str, Any]:
        """Of the module's forward() for the prompt's tokens `at`, without a cache.

        Unless `turned` RoPE turns nothing; by `later` the tokens say that they stand behind where RoPE has them.
        """
        given = {**self.kwargs, "hidden_states": self.kwargs["hidden_states"][:, at]}
        for name in {"past_key_values", "attention_mask"} & given.keys():
            given[name] = None
        for name in {"position_ids", "cache_position"} & given.keys():
            given[name] = None if given[name] is None else given[name][..., at] + later
        rotation = given.get("position_embeddings")
        if isinstance(rotation, Tensor):
            part = rotation[..., at, :]
            given["position_embeddings"] = part if turned else torch.ones_like(part)  # complex numbers
        elif rotation is not None:
            cos, sin = (part[..., at, :] for part in rotation)
            given["position_embeddings"] = (cos, sin) if turned else (torch.ones_like(cos), torch.zeros_like(sin))
        return given

    def call(self, where: Any, turned: bool = True, later: int = 0) -> Call:
        """What the attention is called with for some of the tokens, a slice or their numbers."""
        place = self.prompt_place
        at = slice(place + where.start, place + where.stop) if isinstance(where, slice) else place + where
        try:
            ask(self.module, self.arguments(at, turned, later), tell)
        except Call as call:
            if turned and later == 0:
                self.check_keys(call, where)
            return call.with_traceback(None)  # its frames hold the prompt's tensors
        except Exception as error:
            raise self.refuse(f"it cannot be asked what it uses ({type(error).__name__}: {error})", WORKS) from error
        raise self.refuse("its attention does not go through transformers' registry of attention functions", WORKS)

    def check_keys(self, call: Call, where: Any) -> None:
        keys = self.keys[:, :, where]
        if call.values.shape != call.keys.shape or call.queries.shape[1] % call.keys.shape[1] != 0:
            raise self.refuse(
                f"queries {list(call.queries.shape[1:])}, keys {list(call.keys.shape[1:])} and values "
                f"{list(call.values.shape[1:])} are not heads of one size",
                WORKS,
            )
        rounded = isinstance(self.kwargs.get("past_key_values"), QuantizedCache)
        if not rounded and not alike(call.keys[:, :, -PROVING_TOKENS:], keys[:, :, -PROVING_TOKENS:]):
            raise self.refuse("the keys in its cache are not those that its attention uses", WORKS)

    def queries(self, where: Any, turned: bool = True, later: int = 0) -> Tensor:
        """[B, H_q, m, d] of some of the tokens, as the attention uses them; `turned` and `later` as of arguments()."""
        self.prove()
        first, held = self.known.get(("queries", turned), (self.tokens, None)) if later == 0 else (0, None)
        if held is not None and isinstance(where, slice) and where.start >= first:
            found: Tensor = held[:, :, where.start - first : where.stop - first]
            return found
        queries = self.call(where, turned, later).queries
        if isinstance(where, slice) and where.stop == self.tokens and later == 0:
            self.known["queries", turned] = (where.start, queries)
        return queries

    def find_window(self, options: dict[str, Any]) -> int:
        """Of the layer; Refused where its attention mask is not that of the window."""
        stated = int(options.get("sliding_window") or 0)
        mask, tokens = self.kwargs.get("attention_mask"), self.kwargs["hidden_states"].shape[1]
        if mask is None:
            return stated
        if not isinstance(mask, Tensor) or mask.ndim not in (2, 4):
            raise self.refuse(f"its attention mask is a {type(mask).__name__}, which cannot be read", "sdpa works")
        if mask.ndim == 2:
            if bool((mask != 0).all()):
                return stated
        else:
            others = (getattr(each, "sliding_window", None) for each in (self.module, self.module.config))
            for window in dict.fromkeys([stated, 0, *(int(each or 0) for each in others)]):
                if self.fits(mask, window, tokens):
                    return window
        raise self.refuse(
            "its attention mask hides more or less than a causal attention does: the batch is padded, or the mask is "
            "one of chunks or of several texts",
            "prompts of one length, or one after another, and no mask of one's own work",
        )

    def fits(self, mask: Tensor, window: int, tokens: int) -> bool:
        keys = torch.arange(tokens, device=mask.device)
        last = self.prompt_place + self.tokens
        for first in range(self.prompt_place, last, CHECKED_ROWS):
            rows = keys[first : min(last, first + CHECKED_ROWS)]
            seen = mask[..., rows, :tokens]
            seen = seen if seen.dtype == torch.bool else seen > torch.finfo(seen.dtype).min / 2
            if not bool((seen == visible(rows, keys, window)).all()):
                return False
        return True

    def find_start(self) -> int:
        ids = self.kwargs.get("position_ids")
        if ids is None:
            ids = self.kwargs["cache_position"]
        ids = ids.reshape(-1, ids.shape[-1])[:, self.prompt_place : self.prompt_place + self.tokens]
        if not bool((ids == ids[0, 0] + torch.arange(self.tokens, device=ids.device)).all()):
            raise self.refuse(
                "the positions of its tokens do not follow one another, or differ from sequence to sequence",
                "prompts of one length without padding work",
            )
        return int(ids[0, 0])

    def prove(self) -> None:
        """That softmax(scale q k) v is its attention, once a module: on the first tokens, against the module itself."""
        implementation = str(self.module.config._attn_implementation)
        if PROVED.get(self.module) == implementation:
            return
        call = self.call(slice(self.tokens - 1, self.tokens))
        for option, what in OTHER_TERMS.items():
            if call.options.get(option) is not None:
                raise self.refuse(f"it uses {what}, which no column of attention knows", WITHOUT_ATTENTION)
        count = min(self.kwargs["hidden_states"].shape[1], PROVING_TOKENS)
        arguments, mask = self.arguments(slice(0, count)), self.kwargs.get("attention_mask")
        if mask is not None:
            arguments["attention_mask"] = mask[:, :count] if mask.ndim == 2 else mask[..., :count, :count]

        def reply(narrow: bool) -> Callable[..., Any]:
            def attend(queries: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]) -> Any:
                given = (queries, keys, values) if narrow else (queries.float(), keys.float(), values.float())
                return attended(*given, self.scale, self.window).to(queries.dtype).contiguous(), None

            return attend

        right = ask(self.module, arguments, None)[0]
        if not any(alike(ask(self.module, arguments, reply(narrow))[0], right) for narrow in (False, True)):
            raise self.refuse(
                "softmax(scale q k) v over the tokens that it sees is not what its attention gives", WITHOUT_ATTENTION
            )
        PROVED[self.module] = implementation

    def projection(self) -> Tensor:
        """W_o [hidden, H_q * d], which turns the heads' outputs into the attention's."""
        for name in ("o_proj", "out_proj", "dense", "wo"):
            linear = getattr(self.module, name, None)
            if isinstance(linear, torch.nn.Linear):
                self.prove_projection(linear)
                return linear.weight
        raise self.refuse("it has no linear output projection", WITHOUT_PROJECTION)

    def prove_projection(self, linear: torch.nn.Linear) -> None:
        heads = linear.weight.new_empty(0)

        def attend(queries: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]) -> Any:
            nonlocal heads
            heads = queries.transpose(1, 2).contiguous()
            return heads, None

        output = ask(self.module, self.arguments(slice(0, 1)), attend)[0]
        if heads[0, 0].numel() != linear.in_features or not alike(linear(heads.flatten(2)), output):
            raise self.refuse("something stands between its heads and its output projection", WITHOUT_PROJECTION)

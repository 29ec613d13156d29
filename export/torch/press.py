
from __future__ import annotations

@IMPORTS@

EXACT = torch.float64  # of columns and scores; float32 is quicker on devices that are slow at doubles, ties then differ
@CONSTANTS@


@dataclass(eq=False)
class Layer:
    """One layer at the end of its prompt of n tokens: B sequences, H_kv KV heads of d channels."""

    module: Any  # the attention
    hidden_states: Tensor  # [B, n, hidden], what the attention was given
    keys: Tensor  # [B, H_kv, n, d], after RoPE
    values: Tensor  # [B, H_kv, n, d]
    kwargs: dict[str, Any]  # of the attention's forward()
    known: dict[Any, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.hidden_states.shape[1] != self.tokens:
            raise ValueError(
                f"layer {self.module.layer_idx} was given {self.hidden_states.shape[1]} tokens, but its cache holds "
                f"{self.tokens}: use a press on a whole prompt, with a cache that drops none (DynamicCache())"
            )

    @property
    def tokens(self) -> int:
        return self.keys.shape[2]

    @property
    def positions(self) -> Tensor:
        return torch.arange(self.tokens, dtype=EXACT, device=self.keys.device)

    def number(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=EXACT, device=self.keys.device)


@FUNCTIONS@
@dataclass
class @CLASS@(ScorerPress):
    """Keeps the tokens of highest score, the earlier one of two equals.

    with @CLASS@(compression_ratio=0.5)(model):
        model(input_ids, past_key_values=cache)
    """

    def score(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> Tensor:
        """[B, H_kv, n], higher = keep."""
        layer = Layer(module, hidden_states, keys, values, kwargs)
@COLUMNS@
        scores = @SCORES@
        return torch.where(scores.isnan(), DROP, scores).expand(keys.shape[:3])

    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        if self.compression_ratio == 0:
            return keys, values
        scores = self.score(module, hidden_states, keys, values, attentions, kwargs)
        count = compute_n_kept(keys.shape[2], self.compression_ratio)
        kept = scores.argsort(dim=-1, descending=True, stable=True)[..., :count].sort(dim=-1).values
        kept = kept[..., None].expand(-1, -1, -1, keys.shape[-1])
        return keys.gather(2, kept).contiguous(), values.gather(2, kept).contiguous()

# SPDX-License-Identifier: MIT

from __future__ import annotations

@IMPORTS@

@CONSTANTS@

@PROMPT@
@FUNCTIONS@
@dataclass
class @CLASS@(PromptScorer):
    """Keeps the tokens of highest score, the earlier one of two equals.

    with @CLASS@(compression_ratio=0.5)(model):
        model(input_ids, past_key_values=cache)
    """

    def score(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> Tensor:
        """[B, H_kv, n], higher = keep."""
        layer = self.layer(module, hidden_states, keys, values, kwargs)
@COLUMNS@
        scores = @SCORES@
        return torch.where(scores.isnan(), DROP, scores).expand(keys.shape[:3])

    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        if self.compression_ratio == 0:
            return keys, values
        layer = self.layer(module, hidden_states, keys, values, kwargs)
        if layer.left_alone:
            self.tell_of_windows(module)
            return keys, values
        scores = self.score(module, hidden_states, keys, values, attentions, kwargs)
        count = compute_n_kept(keys.shape[2], self.compression_ratio)
        kept = scores.argsort(dim=-1, descending=True, stable=True)[..., :count].sort(dim=-1).values
        kept = kept[..., None].expand(-1, -1, -1, keys.shape[-1])
        return keys.gather(2, kept).contiguous(), values.gather(2, kept).contiguous()

# SPDX-License-Identifier: MIT

from __future__ import annotations

@IMPORTS@

@SHAPE@
@CONSTANTS@

@PROMPT@
@FUNCTIONS@
@dataclass
class @CLASS@(PromptScorer):
    """Keeps the tokens of highest score, the earlier one of two equals.

@WORDS@

    with @CLASS@(@ARGUMENT@)(model):
        model(input_ids, past_key_values=cache)
    """

    keep: int | None = @NUMBER@  # tokens that each set keeps, in place of the compression ratio
@FIELDS@

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep is not None and (self.keep < 1 or self.compression_ratio != 0):
            raise ValueError("keep is a number of tokens above 0, in place of the compression ratio; None drops it")

    def score(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> Tensor:
        raise Refused(
            "a press around this one cuts by itself, and not as this one was exported to; export the scorer without "
            "--granularity, --block, --sinks, --recent and --keep for that"
        )

    def scores_of(self, layer: Layer) -> Tensor:
        """[B, H_kv, n], higher = keep."""
@COLUMNS@
        scores = @SCORES@
        return torch.where(scores.isnan(), DROP, scores).expand(layer.keys.shape[:3])

    def asked(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, kwargs: dict[str, Any]
    ) -> Layer | None:
        """None where nothing is evicted."""
        if self.compression_ratio == 0 and self.keep is None:
            return None
        layer = self.layer(module, hidden_states, keys, values, kwargs)
        if layer.left_alone:
            self.tell_of_windows(module)
            return None
        if layer.first is None:
            raise layer.refuse("only whole prompts are cut to a shape", "the press by itself works")
        return layer

    def count(self, tokens: int) -> int:
        return compute_n_kept(tokens, self.compression_ratio) if self.keep is None else min(tokens, self.keep)

@CUT@

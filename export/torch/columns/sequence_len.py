# SPDX-License-Identifier: MIT
def column_sequence_len(layer: Layer) -> Tensor:
    """Tokens of the prompt."""
    return layer.number(layer.prompt_tokens)

# SPDX-License-Identifier: MIT
def hide(module: Any, stays: Tensor) -> None:
    """Masks in the module's attention what goes, as kvpress's AdaKVPress does it: it holds its memory."""
    attention = ALL_ATTENTION_FUNCTIONS.get(module.config._attn_implementation)
    if not getattr(attention, "__qualname__", "").startswith("attention_patch."):
        raise Refused(
            f"layer {module.layer_idx} ({type(module).__name__}): sets that are not equally long are masked by kvpress, "
            f'but not in {module.config._attn_implementation} attention; attn_implementation="sdpa" works'
        )
    module.masked_key_indices = (~stays).nonzero(as_tuple=True)

# SPDX-License-Identifier: MIT
    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        layer = self.asked(module, hidden_states, keys, values, kwargs)
        if layer is None:
            return keys, values
        blocks = @BLOCKS_OF_LAYER@
        stays = stays_in_shape(blocks, layer.tokens, self.count(layer.tokens)).expand(keys.shape[:3])
        if layer.tokens % BLOCK == 0 or bool(stays.all()):
            return taken(keys, stays), taken(values, stays)
        hide(module, stays)  # the last block is short, and not in every set
        return keys, values

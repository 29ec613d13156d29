# SPDX-License-Identifier: MIT
    def compress(
        self, module: Any, hidden_states: Tensor, keys: Tensor, values: Tensor, attentions: Any, kwargs: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        layer = self.asked(module, hidden_states, keys, values, kwargs)
        if layer is not None:
            if self.waiting and module.layer_idx <= self.waiting[-1][0].layer_idx:  # a new prompt
                self.waiting = []
            self.waiting.append((module, self.scores_of(layer), self.count(layer.tokens)))
        return keys, values

    def forward_hook(self, module: Any, input: list[Tensor], kwargs: dict[str, Any], output: Any) -> Any:
        output = super().forward_hook(module, input, kwargs, output)
        if self.waiting and module.layer_idx == module.config.get_text_config().num_hidden_layers - 1:
            self.cut(kwargs["past_key_values"])
        return output

    def cut(self, cache: Any) -> None:
        """All layers that were scored, to one set."""
        waiting, self.waiting = self.waiting, []
        first, (count, *others) = waiting[0][1], sorted({count for _, _, count in waiting})
        if others:
            raise Refused(
                f"layers that share one set of tokens are to keep {count} and {others[-1]} of them: a press around this "
                "one changes its compression ratio from layer to layer"
            )
        scores = torch.cat([scores.to(first.device) for _, scores, _ in waiting], 1)
        blocks = @BLOCKS@
        stays = stays_in_shape(blocks, first.shape[2], count)
        equal = len(set(stays.sum(-1).flatten().tolist())) == 1 and not isinstance(cache, QuantizedCache)
        for module, of_layer, _ in waiting:
            held = cache.layers[module.layer_idx]
            mask = stays.to(of_layer.device).expand(of_layer.shape)
            if not equal:
                hide(module, mask)
                continue
            held.keys, held.values = taken(held.keys, mask), taken(held.values, mask)
            note_removed(cache, module, of_layer.shape[2])

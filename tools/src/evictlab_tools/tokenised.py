"""Documents as a model's tokenizer cuts them: what captures and verdicts read of texts."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evictlab_tools.documents import Document, check_hygiene
from evictlab_tools.errors import ToolError
from evictlab_tools.models import ModelSource


@dataclass(frozen=True)
class TokenisedDocument:
    document: Document
    ids: list[int]
    layers: tuple[int, ...]


def tokenise(
    documents: Sequence[Document],
    source: ModelSource,
    prompt: int,
    continuation: int,
    layers: tuple[int, ...] | None = None,
) -> list[TokenisedDocument]:
    """The first prompt + continuation tokens of each, and its own layers, or `layers`, or all.

    ToolError for a text that is too short or a layer that is not.
    """
    tokens = prompt + continuation
    result = []
    for document in documents:
        ids = source.tokenizer.encode(document.text)[:tokens]
        if len(ids) < tokens:
            raise ToolError(
                f"{document.origin or document.name}: {len(ids)} tokens, but prompt {prompt} and continuation "
                f"{continuation} need {tokens}; give a longer text, or smaller --prompt or --continuation"
            )
        wanted = document.layers or layers or tuple(range(source.num_layers))
        if wanted[-1] >= source.num_layers:
            raise ToolError(
                f"{document.origin or document.name}: layer {wanted[-1]} is not in {source.name}, which has layers 0 "
                f"to {source.num_layers - 1}"
            )
        result.append(TokenisedDocument(document, ids, wanted))
    check_hygiene(documents, [item.ids for item in result])
    return result

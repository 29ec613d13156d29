"""Documents as a model's tokenizer cuts them: what captures and verdicts read of texts."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evictlab_tools.documents import Document, check_hygiene, same_in_all
from evictlab_tools.errors import ToolError
from evictlab_tools.models import ModelSource
from evictlab_tools.spans import token_ends, tokens_before


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
        check_cut(document, ids, prompt, source)
        wanted = document.layers or layers or tuple(range(source.num_layers))
        if wanted[-1] >= source.num_layers:
            raise ToolError(
                f"{document.origin or document.name}: layer {wanted[-1]} is not in {source.name}, which has layers 0 "
                f"to {source.num_layers - 1}"
            )
        result.append(TokenisedDocument(document, ids, wanted))
    alike = [
        None
        if item.document.example is None
        else same_in_all(item.document, token_ends(item.document.text, item.ids, source.tokenizer))
        for item in result
    ]
    check_hygiene(documents, [item.ids for item in result], alike)
    return result


def check_cut(document: Document, ids: Sequence[int], prompt: int, source: ModelSource) -> None:
    """ToolError unless the prompt of a task's example ends where it says, and its answers lie within the tokens."""
    if document.example is None:
        return
    where = document.origin or document.name
    found = tokens_before(document.example.cut, document.text, ids, source.tokenizer)
    if found != prompt:
        told = "not at a token's end" if found is None else f"after {found} tokens"
        raise ToolError(
            f"{where}: with this model's tokenizer the prompt of the example ends {told}, not after --prompt {prompt}; "
            "make the examples with this model's tokenizer (evictlab-tasks make), or judge them by evictlab-tasks run"
        )
    if document.answers and len(source.tokenizer.encode(document.text[: document.answers[-1][1]])) > len(ids):
        raise ToolError(f"{where}: the answer goes on behind the last token; give a longer --continuation")

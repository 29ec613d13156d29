"""Examples of tasks as a model's tokenizer cuts them: prompt, question, answer, and what stands where."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evictlab_tools.documents import Document, read_inputs
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.example import QUESTIONS, Example
from evictlab_tools.files import sha256_of_bytes
from evictlab_tools.spans import common_prefix, token_ends, tokens_before, tokens_of
from evictlab_tools.tokens import Tokenizer
from evictlab_tools.uncompressed import find_lookups
from evictlab_tools.verdict.documents import TokenDocument

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class TaskDocument:
    tokens: TokenDocument  # which end with the last answer; its lookups are the answers
    example: Example
    fed: int  # tokens before those that answer, the prompt's too
    roles: Mapping[str, tuple[int, ...]]  # the prompt's tokens by role

    @property
    def hash(self) -> str:
        """Of all that its figures follow from."""
        parts = [self.tokens.hash, self.fed, self.example.to_json()]
        return sha256_of_bytes(json.dumps(parts, sort_keys=True).encode())


def manifests(inputs: Sequence[Path]) -> list[Path]:
    """Those named, and of folders their own or those of both kinds of questions in them."""
    found: list[Path] = []
    for path in inputs:
        if not path.is_dir():
            found.append(path)
            continue
        places = [path / MANIFEST, *(path / question / MANIFEST for question in QUESTIONS)]
        here = [place for place in places if place.is_file()]
        if not here:
            raise UsageError(f"{path}: has no {MANIFEST}, nor have its folders {' and '.join(QUESTIONS)}")
        found += here
    return found


def read_tasks(inputs: Sequence[Path], tokenizer: Tokenizer, examples: int | None) -> list[TaskDocument]:
    """Of each task and kind of question the first `examples`."""
    found: list[TaskDocument] = []
    names: set[str] = set()
    counts: dict[tuple[str, str], int] = {}
    for path in manifests(inputs):
        for document in read_inputs([path], kind="text", split="test", licence="unknown"):
            if document.example is None:
                raise ToolError(
                    f'{document.origin}: says no "task", so there is no question to ask; evictlab-tasks make writes '
                    "such documents"
                )
            if document.name in names:
                raise ToolError(f'{document.origin}: a document "{document.name}" was given before')
            cell = (document.example.name, document.example.question)
            counts[cell] = counts.get(cell, 0) + 1
            if examples is None or counts[cell] <= examples:
                names.add(document.name)
                found.append(tokenised(document, document.example, tokenizer))
    return found


def tokenised(document: Document, example: Example, tokenizer: Tokenizer) -> TaskDocument:
    text, where = document.text, document.origin or document.name
    ids = tokenizer.encode(text)
    prompt = tokens_before(example.cut, text, ids, tokenizer)
    if prompt is None:
        raise ToolError(
            f"{where}: a token of this model's lies across the place where the prompt ends; make the examples with its "
            "tokenizer"
        )
    lookups = find_lookups(text, document.answers, ids, prompt, tokenizer.encode)
    if not lookups or len(lookups) != len(document.answers):
        raise ToolError(f"{where}: an answer of the {len(document.answers)} has no tokens of its own in this model")
    ids = ids[: lookups[-1].past]
    fed = min(common_prefix(tokenizer.encode(text[: example.ask]), ids), lookups[0].first)
    if fed <= prompt:
        raise ToolError(f"{where}: nothing stands between the prompt and the answer")
    ends = token_ends(text, ids[:prompt], tokenizer)
    roles: dict[str, tuple[int, ...]] = {}
    for role, places in example.spans.items():
        spans = [tokens_of(place, ends) for place in places]
        roles[role] = tuple(sorted({token for first, past in spans for token in range(first, past)}))
    tokens = TokenDocument(document.name, document.kind, document.split, tuple(ids), prompt, lookups=lookups)
    return TaskDocument(tokens, example, fed, roles)

"""The documents that a verdict is about: tokens of a captured suite, or texts and manifests."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evictlab_tools.binding import Library
from evictlab_tools.documents import read_inputs
from evictlab_tools.errors import ToolError, UsageError
from evictlab_tools.files import read_json, sha256_of_bytes
from evictlab_tools.models import ModelSource
from evictlab_tools.suite import SUITE_FILE, SUITE_FORMAT
from evictlab_tools.tokenised import tokenise
from evictlab_tools.trace_file import TraceFile
from evictlab_tools.uncompressed import Lookup, find_lookups, uncompressed_of_json


@dataclass(frozen=True)
class TokenDocument:
    name: str  # of a suite's document SUITE/SPLIT/DOCUMENT, as benches have it
    kind: str
    split: str
    ids: tuple[int, ...]
    prompt: int  # tokens; the others are the continuation
    second_pass: tuple[Path, str] | None = None  # its file and SHA-256, where the suite has one of all layers
    lookups: tuple[Lookup, ...] = ()  # answers in the continuation that the prompt gives

    @property
    def hash(self) -> str:
        return sha256_of_bytes(json.dumps([self.prompt, *self.ids]).encode())


@dataclass(frozen=True)
class DocumentSet:
    suite: str
    suite_hash: str  # as benches have it; of texts, over their tokens
    documents: tuple[TokenDocument, ...]
    folder: Path | None = None  # of a captured suite
    model: str | None = None  # as the suite calls it

    def of_splits(self, splits: Sequence[str]) -> DocumentSet:
        chosen = tuple(document for document in self.documents if document.split in splits)
        if not chosen:
            found = ", ".join(sorted({document.split for document in self.documents}))
            raise UsageError(f"{self.suite}: no document of the split {' or '.join(splits)}; there are: {found}")
        return replace(self, documents=chosen)

    def with_answers(self) -> DocumentSet:
        """Those whose continuation has an answer that the prompt gives."""
        chosen = tuple(document for document in self.documents if document.lookups)
        if not chosen:
            raise UsageError(
                f"{self.suite}: no document has answers, so nothing can be judged --on answers; evictlab-tasks make "
                "writes documents that have"
            )
        return replace(self, documents=chosen)


def read_suite(folder: Path, source: ModelSource, library: Library) -> DocumentSet:
    """The tokens that were captured; ToolError where the suite is of other weights than `source`."""
    suite = read_json(folder / SUITE_FILE)
    if not isinstance(suite, dict) or suite.get("format") != SUITE_FORMAT:
        raise ToolError(f'{folder / SUITE_FILE}: no captured suite: "format" is not "{SUITE_FORMAT}"')
    if suite.get("weights") != source.weights:
        raise ToolError(
            f"{folder}: was captured from other weights ({suite.get('weights')}) than those given ({source.weights}); "
            "give the model that it was captured from"
        )
    documents = []
    for entry in suite["files"]:
        trace = TraceFile(folder / entry["file"])
        ids = tuple(int(i) for i in trace.stored("token_ids"))
        documents.append(
            TokenDocument(
                f"{suite['name']}/{entry['split']}/{entry['document']}",
                entry.get("kind", ""),
                entry["split"],
                ids,
                int(trace.metadata["prompt_len"]),
                _second_pass(folder, entry, trace, source.num_layers),
                _lookups(folder, entry),
            )
        )
    return DocumentSet(suite["name"], library.suite_hash(str(folder)), tuple(documents), folder, suite["model"])


def _second_pass(folder: Path, entry: dict[str, Any], trace: TraceFile, num_layers: int) -> tuple[Path, str] | None:
    listed = entry.get("reconstruction")
    if listed is None or trace.layers != list(range(num_layers)):
        return None
    return folder / str(listed["file"]), str(listed["sha256"])


def _lookups(folder: Path, entry: dict[str, Any]) -> tuple[Lookup, ...]:
    """Suites that were captured before there were any say none."""
    if (uncompressed := entry.get("uncompressed")) is None:
        return ()
    try:
        return tuple(lookup for lookup, _ in uncompressed_of_json(uncompressed).lookups)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ToolError(
            f'{folder / SUITE_FILE}: {entry["file"]}: "uncompressed" is not as evictlab-capture writes it; '
            "capture again"
        ) from None


def read_texts(
    inputs: Sequence[Path], source: ModelSource, *, prompt: int, continuation: int, kind: str, split: str
) -> DocumentSet:
    read = read_inputs(inputs, kind=kind, split=split, licence="unknown")
    texts = tokenise(read, source, prompt, continuation)
    documents = tuple(
        TokenDocument(
            text.document.name,
            text.document.kind,
            text.document.split,
            tuple(text.ids),
            prompt,
            lookups=find_lookups(text.document.text, text.document.answers, text.ids, prompt, source.tokenizer.encode),
        )
        for text in texts
    )
    digest = sha256_of_bytes("".join(document.hash for document in documents).encode())
    return DocumentSet(inputs[0].stem, f"sha256:{digest}", documents)


def names_suite(inputs: Sequence[Path]) -> bool:
    """Whether these are a folder with a suite, or no file at all: the name of one."""
    return (inputs[0] / SUITE_FILE).is_file() or not inputs[0].exists()


def named_folder(suite: Path, library: Library) -> Path:
    try:
        return library.suite_folder(str(suite))
    except UsageError as error:
        raise UsageError(f"{suite}: there is no such file or folder, and {error}") from None


def read_named_suite(inputs: Sequence[Path], source: ModelSource, library: Library) -> DocumentSet:
    if len(inputs) > 1:
        raise UsageError("give one suite, or texts that exist")
    return read_suite(named_folder(inputs[0], library), source, library)
